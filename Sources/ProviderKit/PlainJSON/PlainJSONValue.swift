import JSONModel

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// A value whose JSON is written and read member by member, without `Codable`.
///
/// For what is sent by the thousand: `JSONEncoder` and `JSONDecoder` take about ten times as long, which
/// `make bench` shows. The JSON is the same, and so is what may be read: a reader that meets anything but the plain form
/// (an escape in a string, an unknown or repeated member, a number with a fraction) gives up, and `JSONDecoder`
/// decides. So there is one meaning and one set of errors.
protocol PlainJSONValue: Codable {
    func write(to json: inout PlainJSONWriter)

    /// nil if the text at the reader's place is not in the plain form; the reader is of no use then.
    init?(reading json: inout PlainJSONReader)
}

extension PlainJSONValue {
    func plainJSON() -> Data {
        var writer = PlainJSONWriter()
        write(to: &writer)
        return Data(writer.bytes)
    }

    init?(plainJSON text: Data) {
        let value = text.withUnsafeBytes { buffer -> Self? in
            buffer.withMemoryRebound(to: UInt8.self) { bytes in
                var reader = PlainJSONReader(bytes)
                guard let value = Self(reading: &reader), reader.isAtEnd else { return nil }
                return value
            }
        }
        guard let value else { return nil }
        self = value
    }
}

extension BatchRequest {
    /// The request as it crosses the border.
    ///
    /// - Throws: `EncodingError`.
    public func json() throws -> Data {
        guard let plain = self as? any PlainJSONValue else { return try JSONEncoder().encode(self) }
        return plain.plainJSON()
    }

    /// - Throws: `DecodingError` that names the member.
    public init(json text: Data) throws {
        // Any in between: whether this is a plain value depends on Item, which the compiler does not see.
        let plain: Any? = (Self.self as? any PlainJSONValue.Type)?.init(plainJSON: text)
        self = try plain as? Self ?? JSONDecoder().decode(Self.self, from: text)
    }
}

extension BatchRequest: PlainJSONValue where Item: PlainJSONValue {
    func write(to json: inout PlainJSONWriter) {
        json.raw("{\"items\":")
        json.array(items) { $1.write(to: &$0) }
        if let namespaces {
            json.raw(",\"namespaces\":")
            json.array(namespaces) { $0.string($1) }
        }
        json.raw("}")
    }

    init?(reading json: inout PlainJSONReader) {
        var items: [Item]?
        var namespaces: [String]?
        let isPlain = json.object { json, name in
            if name == "items", items == nil {
                items = json.array { Item(reading: &$0) }
                return items != nil
            }
            if name == "namespaces", namespaces == nil {
                namespaces = json.array { $0.string() }
                return namespaces != nil
            }
            return false
        }
        guard isPlain, let items else { return nil }
        self.init(items: items, namespaces: namespaces)
    }
}
