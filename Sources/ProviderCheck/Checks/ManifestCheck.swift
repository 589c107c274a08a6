import FoundationEssentials
import JSONModel
import ProviderKit

/// The manifest `<Name>.plugin.json` beside `lib<Name>.so`.
enum ManifestCheck {
    /// Members that manifest and descriptor both have.
    private static let shared = ["name", "version", "kind", "capabilities", "configurationSchema"]

    static func run(_ context: CaseContext) throws {
        let file = URL(filePath: context.pluginPath)
        var name = file.deletingPathExtension().lastPathComponent
        if name.hasPrefix("lib") { name.removeFirst(3) }
        let manifest = file.deletingLastPathComponent().appending(path: "\(name).plugin.json")
        guard let bytes = try? Data(contentsOf: manifest) else {
            throw CheckError.skipped("there is no \(manifest.lastPathComponent) beside the file")
        }
        try SchemaCheck.require(
            bytes, .providerManifest, manifest.lastPathComponent)
        let told = try JSONValue(json: bytes)
        try require(
            told[member: "file"]?.text == file.lastPathComponent,
            "file: \(told[member: "file"]?.text ?? ""); the file is \(file.lastPathComponent)")
        let descriptor = try context.load().descriptor()
        for member in shared {
            var values = [told[member: member], descriptor[member: member]]
            if member == "capabilities" {
                values = values.map { value in
                    value.map { .array($0.elements.sorted { ($0.text ?? "") < ($1.text ?? "") }) }
                }
            }
            try require(values[0] == values[1], "\(member): the manifest and the descriptor tell different things")
        }
    }
}
