import FoundationEssentials
import Yams

/// Reads a YAML mapping member by member, and collects every mistake with its line instead of stopping at the first.
struct SettingsReader {
    /// Collected mistakes, shared by the readers of nested mappings.
    final class Mistakes {
        var lines: [String] = []
    }

    private let node: Node
    private let mapping: Node.Mapping
    private let path: String
    private let mistakes: Mistakes

    /// - Parameter path: where the mapping stands in the file, for messages; empty at the top.
    init?(_ node: Node, path: String, mistakes: Mistakes) {
        guard let mapping = node.mapping else {
            mistakes.lines.append(Self.at(node, path.isEmpty ? "the file" : path) + " must be a mapping of fields")
            return nil
        }
        self.node = node
        self.mapping = mapping
        self.path = path
        self.mistakes = mistakes
    }

    private static func at(_ node: Node, _ path: String) -> String {
        node.mark.map { "line \($0.line): \(path)" } ?? path
    }

    /// The line on which the mapping begins, from 1.
    var line: Int? { node.mark?.line }

    private func name(_ field: String) -> String { path.isEmpty ? field : "\(path).\(field)" }

    func report(_ field: String, _ problem: String) {
        mistakes.lines.append(Self.at(mapping[field] ?? node, name(field)) + " \(problem)")
    }

    /// Reports members that are not in `known`.
    func allowOnly(_ known: [String]) {
        for (key, _) in mapping where !known.contains(key.string ?? "") {
            mistakes.lines.append(
                Self.at(key, name(key.string ?? "?")) + " is unknown; known fields are "
                    + known.sorted().joined(separator: ", "))
        }
    }

    /// The names of all members, in the file's order.
    var fieldNames: [String] { mapping.compactMap { $0.key.string } }

    func string(_ field: String) -> String? {
        guard let value = mapping[field], value.tag.description != "tag:yaml.org,2002:null" else { return nil }
        guard let text = value.scalar?.string else {
            report(field, "must be text")
            return nil
        }
        return text
    }

    func requiredString(_ field: String) -> String? {
        let value = string(field)
        if value == nil, mapping[field] == nil { report(field, "is missing") }
        if let value, value.isEmpty {
            report(field, "must not be empty")
            return nil
        }
        return value
    }

    func integer(_ field: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = mapping[field] else { return nil }
        guard let number = value.int, range.contains(number) else {
            report(
                field,
                "is \(value.scalar?.string ?? "not a number"); allowed are \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    func boolean(_ field: String) -> Bool? {
        guard let value = mapping[field] else { return nil }
        guard let flag = value.bool else {
            report(field, "is \(value.scalar?.string ?? "not a scalar"); allowed are true and false")
            return nil
        }
        return flag
    }

    func strings(_ field: String) -> [String]? {
        guard let value = mapping[field] else { return nil }
        guard let sequence = value.sequence, sequence.allSatisfy({ $0.scalar != nil }) else {
            report(field, "must be a list of texts")
            return nil
        }
        return sequence.compactMap { $0.scalar?.string }
    }

    func nested(_ field: String) -> SettingsReader? {
        mapping[field].flatMap { SettingsReader($0, path: name(field), mistakes: mistakes) }
    }

    func list(_ field: String) -> [SettingsReader] {
        guard let value = mapping[field] else { return [] }
        guard let sequence = value.sequence else {
            report(field, "must be a list")
            return []
        }
        return sequence.enumerated().compactMap { index, node in
            SettingsReader(node, path: "\(name(field))[\(index)]", mistakes: mistakes)
        }
    }

    /// The member as JSON; `{}` if it is absent.
    func json(_ field: String) -> Data {
        guard let value = mapping[field] else { return Data("{}".utf8) }
        guard value.mapping != nil else {
            report(field, "must be a mapping of fields")
            return Data("{}".utf8)
        }
        do {
            return try JSONEncoder().encode(YAMLValue(value))
        } catch {
            report(field, "cannot be written as JSON: \(error)")
            return Data("{}".utf8)
        }
    }
}

/// A YAML node by YAML's core schema, encodable as JSON.
private struct YAMLValue: Encodable {
    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private let node: Node

    init(_ node: Node) {
        self.node = node
    }

    func encode(to encoder: any Encoder) throws {
        switch node {
        case .mapping(let mapping):
            var container = encoder.container(keyedBy: Key.self)
            for (key, value) in mapping {
                try container.encode(YAMLValue(value), forKey: Key(stringValue: key.string ?? ""))
            }
        case .sequence(let sequence):
            var container = encoder.unkeyedContainer()
            for value in sequence { try container.encode(YAMLValue(value)) }
        default:
            var container = encoder.singleValueContainer()
            switch node.tag.description {
            case "tag:yaml.org,2002:null": try container.encodeNil()
            case "tag:yaml.org,2002:bool": try container.encode(node.bool ?? false)
            case "tag:yaml.org,2002:int": try container.encode(node.int ?? 0)
            case "tag:yaml.org,2002:float": try container.encode(node.float ?? 0)
            default: try container.encode(node.scalar?.string ?? "")
            }
        }
    }
}
