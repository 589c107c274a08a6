/// Builds the paths and queries of the Kubernetes API. Pure.
struct RequestPath {
    private(set) var text: String
    private var hasQuery = false

    /// Path of a collection, or of one object if `name` is given.
    ///
    /// - Throws: ``KubernetesError`` with code `badRequest` where the path would name something else than was meant.
    init(_ type: ResourceType, namespace: String?, name: String? = nil, subresource: String? = nil) throws {
        text = type.group.isEmpty ? "/api/\(type.version)" : "/apis/\(type.group)/\(type.version)"
        if type.namespaced {
            if let namespace, !namespace.isEmpty {
                text += "/namespaces/\(Self.encode(namespace))"
            } else if name != nil {
                throw KubernetesError(.badRequest, "\(type.kind): namespace is empty; allowed: the object's namespace")
            }
        }
        text += "/\(type.plural)"
        if let name {
            // An empty name would turn a deletion of one object into the deletion of all.
            guard !name.isEmpty, name != ".", name != ".." else {
                throw KubernetesError(.badRequest, "\(type.kind): name is \"\(name)\"; allowed: an object's name")
            }
            text += "/\(Self.encode(name))"
        }
        if let subresource { text += "/\(subresource)" }
    }

    /// Adds a query parameter; nil and empty values are left out.
    mutating func add(_ name: String, _ value: String?) {
        guard let value, !value.isEmpty else { return }
        text += "\(hasQuery ? "&" : "?")\(name)=\(Self.encode(value))"
        hasQuery = true
    }

    /// Percent-encodes everything but RFC 3986's unreserved characters.
    static func encode(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                result += hex.count == 1 ? "%0\(hex)" : "%\(hex)"
            }
        }
        return result
    }
}
