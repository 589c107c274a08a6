import JSONModel

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A request as the edge hands it in.
struct ARMRequest: Sendable {
    var method: String
    /// Percent-decoded path segments.
    var segments: [String]
    /// Percent-decoded, names in lower case.
    var query: [String: String]
    /// Names in lower case.
    var headers: [String: String]
    var body: Data
    /// `http://host:port` as the client named us; operation URLs are made from it.
    var base: String
    /// What is asked for; set once the address is understood.
    var operation: ARMOperation?

    /// - Throws: ``ARMFault`` if the body is no JSON object.
    func json() throws(ARMFault) -> JSONValue {
        guard let value = try? JSONValue(json: body), value.members != nil else {
            throw ARMFault(
                400, "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: the body is not a JSON object.")
        }
        return value
    }
}

/// An answer for the edge to send.
struct ARMResponse: Sendable {
    var status: Int
    var headers: [(name: String, value: String)] = []
    var body: JSONValue?
    /// The operation's name in the audit, as in the public operation list; nil: an address we do not serve.
    var operation: String?

    init(_ status: Int, _ body: JSONValue? = nil, headers: [(name: String, value: String)] = []) {
        self.status = status
        self.body = body
        self.headers = headers
    }

    init(fault: ARMFault) {
        self.init(fault.status, ["error": fault.value])
        if fault.isGateway { headers.append(("x-ms-failure-cause", "gateway")) }
        if let seconds = fault.retryAfter ?? (fault.status == 429 ? 1 : nil) {
            headers.append(("Retry-After", String(seconds)))
        }
        if fault.status == 401 {
            headers.append(("WWW-Authenticate", "Bearer error=\"invalid_token\", error_description=\"\(fault.code)\""))
        }
    }
}

/// What a request is about, after its path was read.
struct ARMTarget: Sendable {
    let provider: ARMProvider
    /// The types of the path in lower case, joined by a slash: `virtualmachinescalesets/virtualmachines`.
    let type: String
    /// One name per type; one fewer for a list.
    let names: [String]
    /// Of the whole subscription rather than of the resource group.
    var isSubscriptionWide = false

    var isList: Bool { names.count < type.split(separator: "/").count }
    func name(_ index: Int) -> String { names[index] }
}

extension ARMRequest {
    /// The fields of a query string, percent-decoded, names in lower case.
    static func query(_ text: String) -> [String: String] {
        var query: [String: String] = [:]
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                .map { percentDecoded($0, plusIsSpace: true) }
            query[parts[0].lowercased()] = parts.count > 1 ? parts[1] : ""
        }
        return query
    }

    /// Text with everything escaped that is not unreserved (RFC 3986 section 2.3).
    static func percentEncoded(_ text: String) -> String {
        text.utf8.map { byte in
            let character = Character(UnicodeScalar(byte))
            if byte < 128, character.isLetter || character.isNumber || "-._~".contains(character) {
                return String(character)
            }
            let digits = String(byte, radix: 16, uppercase: true)
            return "%" + (digits.count == 1 ? "0" + digits : digits)
        }
        .joined()
    }

    /// Text with its percent escapes resolved (RFC 3986 section 2.1); what is no escape stays as it is.
    static func percentDecoded(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            if byte == UInt8(ascii: "%"), digits.count == 2, let value = UInt8(digits, radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
