import Yams

extension APIValueParser {
    /// Parses one YAML document. Anchors may repeat parts of it, up to four times its length in values.
    static func parse(yaml text: [UInt8]) throws(Failure) -> APIValue {
        let root: Node?
        do {
            root = try Yams.compose(yaml: String(decoding: text, as: UTF8.self))
        } catch {
            throw Failure(message: "not YAML: \(error)", offset: 0)
        }
        guard let root else { throw Failure(message: "an empty document", offset: 0) }
        var remaining = text.count * 4 + 64
        return try value(root, depth: 0, remaining: &remaining)
    }

    private static func value(_ node: Node, depth: Int, remaining: inout Int) throws(Failure) -> APIValue {
        remaining -= 1
        guard depth <= maximumDepth, remaining > 0 else {
            throw Failure(message: "nested deeper than \(maximumDepth) levels, or too often repeated", offset: 0)
        }
        if let mapping = node.mapping {
            var members: [String: APIValue] = [:]
            for (key, member) in mapping {
                guard let name = key.scalar?.string, members[name] == nil else {
                    throw Failure(message: "a key that is no text, or stands twice", offset: 0)
                }
                members[name] = try value(member, depth: depth + 1, remaining: &remaining)
            }
            return .object(members)
        }
        if let sequence = node.sequence {
            var elements: [APIValue] = []
            for element in sequence {
                elements.append(try value(element, depth: depth + 1, remaining: &remaining))
            }
            return .array(elements)
        }
        return scalar(node)
    }

    private static func scalar(_ node: Node) -> APIValue {
        let text = node.scalar?.string ?? ""
        switch node.tag.description {
        case "tag:yaml.org,2002:null": return .null
        case "tag:yaml.org,2002:bool": return node.bool.map(APIValue.bool) ?? .string(text)
        case "tag:yaml.org,2002:int": return node.int.map { .integer(Int64($0)) } ?? .string(text)
        case "tag:yaml.org,2002:float":
            return node.float.flatMap { $0.isFinite ? .number($0) : nil } ?? .string(text)
        default: return .string(text)
        }
    }
}
