import FoundationEssentials
import JSONModel
import Yams

/// A `host.yaml`, read as far as it can be understood.
struct ConfigurationReview {
    /// The most mistakes that are told of one plugin's settings.
    static let maximumMistakes = 1000

    /// With defaults in the place of what is wrong; nil if the text is no mapping. Only one without mistakes may be run.
    let configuration: HostConfiguration?
    /// One line each, with the file's name and the line.
    let mistakes: [String]
    private let name: String
    private let root: Node?

    /// - Parameter name: the file's name for messages.
    /// - Throws: ``HostError`` if the text is not YAML.
    init(_ text: String, name: String) throws {
        self.name = name
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            let words = String(describing: error).split(whereSeparator: \.isWhitespace)
            throw HostError(.configuration, "\(name): is not YAML: \(words.joined(separator: " "))")
        }
        let found = SettingsReader.Mistakes()
        configuration = root.flatMap { SettingsReader($0, path: "", mistakes: found) }.map(HostConfiguration.read)
        if root == nil { found.lines.append("the file is empty; it must be a mapping of fields") }
        mistakes = found.lines.map { "\(name): \($0)" }
    }

    /// What a schema finds in an entry's settings, one line each, with the lines of the members.
    func mistakes(in entry: PluginEntry, by schema: JSONSchema) -> [String] {
        // Settings that are no mapping were told already; what stands in their place has nobody written.
        if let settings = node(of: entry)?.node.mapping?["config"], settings.mapping == nil { return [] }
        guard let value = try? JSONValue(json: entry.configuration) else { return [] }
        return lines(schema.mistakes(in: value, limit: Self.maximumMistakes), in: entry)
    }

    /// Mistakes in an entry's settings as lines of this file, at most ``maximumMistakes``.
    func lines(_ mistakes: [JSONSchema.Mistake], in entry: PluginEntry) -> [String] {
        var seen = Set<JSONSchema.Mistake>()
        var lines = mistakes.prefix(Self.maximumMistakes).filter { seen.insert($0).inserted }.map { mistake in
            let place = place(of: mistake.path, in: entry)
            let words = mistake.message.split(whereSeparator: \.isNewline).joined(separator: " ")
            return line(place.line, "\(place.field): \(words)")
        }
        if mistakes.count >= Self.maximumMistakes {
            lines.append(line(entry.line, "plugin \(entry.name): has more mistakes than the \(lines.count) told here"))
        }
        return lines
    }

    /// A message about a line of this file.
    func line(_ line: Int?, _ message: String) -> String {
        "\(name): " + (line.map { "line \($0): " } ?? "") + message
    }

    private func node(of entry: PluginEntry) -> (node: Node, index: Int)? {
        // Entries that cannot be used are not in the configuration, so that its indices are not the file's.
        guard let list = root?.mapping?["plugins"]?.sequence,
            let index = list.firstIndex(where: {
                $0.mark?.line == entry.line && $0.mapping?["name"]?.scalar?.string == entry.name
            })
        else { return nil }
        return (list[index], index)
    }

    /// - Parameter pointer: JSON Pointer within the entry's settings.
    /// - Returns: the member as the file's other fields are named; and its line, or that of the nearest one around it.
    private func place(of pointer: String, in entry: PluginEntry) -> (field: String, line: Int?) {
        var field = "plugins.\(entry.name)"
        var line = entry.line
        var node: Node?
        if let found = self.node(of: entry) {
            field = "plugins[\(found.index)]"
            node = found.node
        }
        for part in ["config"] + (JSONPointer.parts(pointer) ?? [pointer]) {
            if let sequence = node?.sequence, let index = Int(part) {
                field += "[\(index)]"
                node = sequence.indices.contains(index) ? sequence[index] : nil
                line = node?.mark?.line ?? line
            } else {
                field += ".\(part)"
                let member = node?.mapping?.first { $0.key.string == part }
                node = member?.value
                line = member?.key.mark?.line ?? line
            }
        }
        return (field, line)
    }
}
