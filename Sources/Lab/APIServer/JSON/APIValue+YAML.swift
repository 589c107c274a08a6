extension APIValue {
    /// The value as a YAML document in block style, members in sorted order.
    var yaml: String {
        var output = ""
        write(into: &output, indentation: 0)
        return output
    }

    private func write(into output: inout String, indentation: Int) {
        let margin = String(repeating: " ", count: indentation)
        switch self {
        case .object(let members) where !members.isEmpty:
            for (name, member) in members.sorted(by: { $0.key < $1.key }) {
                output += "\(margin)\(Self.scalar(name)):"
                switch member {
                // The elements of a list stand under its name, as Kubernetes prints them.
                case .array(let elements) where !elements.isEmpty:
                    output += "\n"
                    member.write(into: &output, indentation: indentation)
                case .object(let members) where !members.isEmpty:
                    output += "\n"
                    member.write(into: &output, indentation: indentation + 2)
                default: output += " \(member.flowText)\n"
                }
            }
        case .array(let elements) where !elements.isEmpty:
            for element in elements {
                var text = ""
                element.write(into: &text, indentation: indentation + 2)
                output += "\(margin)- \(text.dropFirst(element.isBlock ? indentation + 2 : 0))"
            }
        default: output += "\(flowText)\n"
        }
    }

    /// Whether the value takes lines of its own, which begin with their indentation.
    private var isBlock: Bool {
        switch self {
        case .object(let members): !members.isEmpty
        case .array(let elements): !elements.isEmpty
        default: false
        }
    }

    /// A scalar or an empty collection.
    private var flowText: String {
        if case .string(let text) = self { return Self.scalar(text) }
        return text
    }

    /// Plain where no reader can take it for another type; else quoted, by JSON's escapes, which YAML has as well.
    private static func scalar(_ value: String) -> String {
        let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        let isPlain =
            value.first.map { $0.isASCII && $0.isLetter } == true
            && value.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-_./".utf8.contains(byte)
            }
        return isPlain && !reserved.contains(value.lowercased()) ? value : APIValue.string(value).text
    }
}
