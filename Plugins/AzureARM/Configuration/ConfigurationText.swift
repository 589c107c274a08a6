import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The text of a cloud configuration: JSON, or the part of YAML that such a file needs.
///
/// A YAML library would bring the whole of Foundation into every plugin, so YAML here is one mapping of scalars at the
/// left margin: plain and quoted scalars, comments and document markers. A key without a value of its own may have
/// indented lines below it; they are skipped, because no field that is read here has any. What is beyond that is
/// refused by line.
enum ConfigurationText {
    /// - Throws: ``FileProblem`` with line and cause.
    static func parse(_ data: Data) throws(FileProblem) -> JSONValue {
        guard let text = String(data: data, encoding: .utf8) else { throw FileProblem(text: "is not UTF-8") }
        if text.first(where: { !$0.isWhitespace }) == "{" {
            do {
                return try JSONValue(json: data)
            } catch {
                throw FileProblem(text: "is not JSON: \(error)")
            }
        }
        return try yaml(text)
    }

    private static func yaml(_ text: String) throws(FileProblem) -> JSONValue {
        var fields: [String: JSONValue] = [:]
        var mayHaveChildren = false
        for (index, raw) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = raw.hasSuffix("\r") ? raw.dropLast() : raw
            let content = line.drop { $0 == " " }
            guard let first = content.first, first != "#" else { continue }
            if first == "\t" { throw problem(index, "is indented by a tab") }
            if line == "---" || line == "..." || line.hasPrefix("%") {
                if line == "---", !fields.isEmpty { throw problem(index, "begins a second document") }
                continue
            }
            let isItem = content.hasPrefix("- ") || content == "-"
            if content.count < line.count || isItem {
                guard mayHaveChildren else { throw problem(index, "is indented, and the key above has a value") }
                continue
            }
            let (key, rest) = try split(content, index)
            if fields[key] != nil { throw problem(index, "repeats the key \"\(key)\"") }
            let value = try scalar(rest, index)
            // Only a key without a value of its own may have lines below it.
            mayHaveChildren = value == .null
            fields[key] = value
        }
        guard !fields.isEmpty else { throw FileProblem(text: "is empty") }
        return .object(fields)
    }

    private static func problem(_ index: Int, _ text: String) -> FileProblem {
        FileProblem(
            text: "line \(index + 1) \(text); allowed are JSON, and YAML of the form \"field: value\" "
                + "with one field a line")
    }

    private static func split(_ line: Substring, _ index: Int) throws(FileProblem) -> (String, Substring) {
        if let quote = line.first, quote == "\"" || quote == "'" {
            let (key, rest) = try quoted(line, quote, index)
            guard rest.first == ":" else { throw problem(index, "has no colon after its key") }
            return (key, rest.dropFirst())
        }
        guard
            let colon = line.indices.first(where: { position in
                let next = line.index(after: position)
                return line[position] == ":" && (next == line.endIndex || line[next] == " ")
            })
        else { throw problem(index, "has no key") }
        let key = trimmed(line[..<colon])
        guard !key.isEmpty, let start = key.first, !"&*!|>{}[],?@`%".contains(start) else {
            throw problem(index, "has no plain key")
        }
        return (String(key), line[line.index(after: colon)...])
    }

    private static func scalar(_ text: Substring, _ index: Int) throws(FileProblem) -> JSONValue {
        let value = trimmed(text)
        guard let first = value.first, first != "#" else { return .null }
        if first == "\"" || first == "'" {
            let (content, rest) = try quoted(value, first, index)
            let tail = trimmed(rest)
            guard tail.isEmpty || tail.first == "#" else { throw problem(index, "has text after its value") }
            return .string(content)
        }
        // An empty collection is common for fields of other readers.
        if value == "{}" { return .object([:]) }
        if value == "[]" { return .array([]) }
        guard !"&*!|>{}[],?@`%".contains(first) else { throw problem(index, "has a value that begins with \(first)") }
        let plain = withoutComment(value)
        switch plain {
        case "null", "Null", "NULL", "~": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: return Int64(plain).map(JSONValue.integer) ?? .string(String(plain))
        }
    }

    private static func withoutComment(_ value: Substring) -> Substring {
        var previous: Character = "x"
        for index in value.indices {
            if value[index] == "#", previous == " " || previous == "\t" { return trimmed(value[..<index]) }
            previous = value[index]
        }
        return value
    }

    /// The content of a quoted scalar, and what follows it. Of the escapes of the double quote those of JSON are known.
    private static func quoted(
        _ text: Substring, _ quote: Character, _ index: Int
    ) throws(FileProblem) -> (String, Substring) {
        var rest = text.dropFirst()
        var content = ""
        while let next = rest.popFirst() {
            if next == quote {
                guard quote == "'", rest.first == "'" else { return (content, rest) }
                content.append("'")
                rest.removeFirst()
            } else if next == "\\", quote == "\"" {
                guard let escaped = rest.popFirst() else { break }
                switch escaped {
                case "\"", "\\", "/": content.append(escaped)
                case "n": content.append("\n")
                case "t": content.append("\t")
                default: throw problem(index, "has the escape \\\(escaped), which is not read here")
                }
            } else {
                content.append(next)
            }
        }
        throw problem(index, "has a quoted text without an end")
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var result = text.drop { $0 == " " || $0 == "\t" }
        while let last = result.last, last == " " || last == "\t" { result.removeLast() }
        return result
    }
}
