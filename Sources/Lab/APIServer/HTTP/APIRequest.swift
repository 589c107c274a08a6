/// What came in over HTTP, free of the HTTP library.
struct APIRequest: Sendable {
    var method: String
    var target: APIRequestTarget
    var query: APIQuery
    var accept: String
    var contentType: String
    /// Names the manager of what is written where the query names none.
    var userAgent = ""
    /// Complete; empty for a request without one.
    var body: [UInt8]
}

/// What goes out.
enum APIAnswer: Sendable {
    case complete(APICompleteAnswer)
    /// A stream of watch events, one JSON object per line.
    case watch(APIWatchSession)
}

struct APICompleteAnswer: Sendable {
    var status = 200
    var contentType = "application/json"
    var body: [UInt8]
    /// Texts for `Warning: 299` headers, which kubectl prints.
    var warnings: [String] = []

    static func value(_ value: APIValue, status: Int = 200) -> Self { .init(status: status, body: value.encoded()) }

    static func text(_ text: String) -> Self { .init(contentType: "text/plain; charset=utf-8", body: Array(text.utf8)) }
}

/// Where a request goes, read from its path alone.
enum APIRequestTarget: Sendable, Equatable {
    case version
    case health
    case coreVersions
    case groups
    case group(String)
    case resources(group: String, version: String)
    case openAPIIndex
    case openAPI(groupVersion: String)
    case openAPIVersion2
    case resource(Resource)
    case root
    case unknown

    struct Resource: Sendable, Equatable {
        var group: String
        var version: String
        var namespace: String?
        var plural: String
        var name: String?
        var subresource: String?
    }

    init(path: String) {
        let parts = path.split(separator: "/").map { APIQuery.decode($0, plusIsSpace: false) }
        switch (parts.first, parts.count) {
        case (nil, _): self = .root
        case ("version", 1): self = .version
        case ("healthz", _), ("readyz", _), ("livez", _): self = .health
        case ("api", 1): self = .coreVersions
        case ("apis", 1): self = .groups
        case ("apis", 2): self = .group(parts[1])
        case ("api", 2): self = .resources(group: "", version: parts[1])
        case ("apis", 3): self = .resources(group: parts[1], version: parts[2])
        case ("openapi", 2) where parts[1] == "v3": self = .openAPIIndex
        case ("openapi", 2) where parts[1] == "v2": self = .openAPIVersion2
        case ("openapi", 4...) where parts[1] == "v3":
            self = .openAPI(groupVersion: parts[2...].joined(separator: "/"))
        case ("api", 3...): self = Self.resource(group: "", version: parts[1], rest: parts[2...])
        case ("apis", 4...): self = Self.resource(group: parts[1], version: parts[2], rest: parts[3...])
        default: self = .unknown
        }
    }

    private static func resource(group: String, version: String, rest: ArraySlice<String>) -> Self {
        var parts = Array(rest)
        var namespace: String?
        // `namespaces/NAME` alone and its subresources are the Namespace object itself.
        let isNamespaceItself = parts.count == 2 || (parts.count == 3 && ["status", "finalize"].contains(parts[2]))
        if parts.count > 1, parts[0] == "namespaces", !isNamespaceItself {
            namespace = parts[1]
            parts.removeFirst(2)
        }
        guard (1...3).contains(parts.count) else { return .unknown }
        return .resource(
            Resource(
                group: group, version: version, namespace: namespace, plural: parts[0],
                name: parts.count > 1 ? parts[1] : nil, subresource: parts.count > 2 ? parts[2] : nil))
    }
}

/// The decoded query of a request.
struct APIQuery: Sendable, Equatable {
    private var items: [String: String] = [:]

    init(_ text: String = "") {
        for item in text.split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = Self.decode(parts[0], plusIsSpace: true)
            if items[name] == nil { items[name] = parts.count > 1 ? Self.decode(parts[1], plusIsSpace: true) : "" }
        }
    }

    /// Nil when absent or empty.
    subscript(name: String) -> String? { items[name].flatMap { $0.isEmpty ? nil : $0 } }

    func flag(_ name: String) -> Bool { ["1", "true", "TRUE", "True", "t"].contains(items[name] ?? "") }

    /// A whole number; nil when absent.
    func number(_ name: String) throws(APIStatusError) -> Int64? {
        guard let text = self[name] else { return nil }
        guard let number = Int64(text) else {
            throw .badRequest("the query parameter \(name) is \"\(text)\"; allowed is a whole number")
        }
        return number
    }

    /// A whole number of at least zero; nil when absent.
    func count(_ name: String) throws(APIStatusError) -> Int64? {
        guard let text = self[name] else { return nil }
        guard let number = Int64(text), number >= 0 else {
            throw .badRequest("the query parameter \(name) is \"\(text)\"; allowed is a whole number of at least 0")
        }
        return number
    }

    /// Percent-decodes; malformed escapes stay as they are.
    static func decode(_ text: some StringProtocol, plusIsSpace: Bool) -> String {
        var bytes: [UInt8] = []
        var iterator = Array(text.utf8)[...]
        while let byte = iterator.popFirst() {
            if byte == UInt8(ascii: "%"), iterator.count >= 2,
                let value = UInt8(String(decoding: iterator.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                iterator = iterator.dropFirst(2)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
