import ProviderAPI

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

extension egp_bytes {
    /// A copy that outlives the call the bytes were passed to.
    public var copied: Data {
        guard let data, length > 0 else { return Data() }
        return Data(bytes: data, count: Int(length))
    }

    /// A copy as text; bytes that are no UTF-8 are replaced.
    public var text: String {
        guard let data, length > 0 else { return "" }
        return String(decoding: UnsafeBufferPointer(start: data, count: Int(length)), as: UTF8.self)
    }
}

extension Data {
    /// Lends the bytes to a call across the border; valid until `body` returns.
    public func withBorderBytes<R>(_ body: (egp_bytes) throws -> R) rethrows -> R {
        try withUnsafeBytes { buffer in
            try body(
                egp_bytes(
                    data: buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), length: UInt64(buffer.count)))
        }
    }
}

extension String {
    /// Lends the UTF-8 bytes to a call across the border; valid until `body` returns.
    public func withBorderBytes<R>(_ body: (egp_bytes) throws -> R) rethrows -> R {
        var copy = self
        return try copy.withUTF8 { buffer in
            try body(egp_bytes(data: buffer.baseAddress, length: UInt64(buffer.count)))
        }
    }
}

extension ResultCode {
    /// The C code of the same meaning.
    public var borderCode: egp_code {
        switch self {
        case .ok: egp_code(EGP_OK)
        case .retry: egp_code(EGP_RETRY)
        case .throttled: egp_code(EGP_THROTTLED)
        case .conflict: egp_code(EGP_CONFLICT)
        case .invalid: egp_code(EGP_INVALID)
        case .terminal: egp_code(EGP_TERMINAL)
        case .unsupported: egp_code(EGP_UNSUPPORTED)
        case .cancelled: egp_code(EGP_CANCELLED)
        }
    }

    /// The meaning of a C code; nil for a number outside the closed set.
    public init?(borderCode: egp_code) {
        guard let match = ResultCode.allCases.first(where: { $0.borderCode == borderCode }) else { return nil }
        self = match
    }
}

/// Header fields in the JSON form that crosses the border: a list of pairs.
public enum BorderHeaders {
    public static func encode(_ fields: [HTTPField]) throws -> Data {
        try JSONEncoder().encode(fields.map { [$0.name, $0.value] })
    }

    public static func decode(_ json: Data) throws -> [HTTPField] {
        guard !json.isEmpty else { return [] }
        return try JSONDecoder().decode([[String]].self, from: json).map { pair in
            guard pair.count == 2 else {
                throw ProviderError(.invalid, "headers: each entry must be a [name, value] pair")
            }
            return HTTPField(pair[0], pair[1])
        }
    }
}
