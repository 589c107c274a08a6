import Foundation

/// A CNI network configuration list (CNI specification 1.0.0, section 1), as a container runtime reads it.
public struct CNIConfigurationList: Sendable {
    public let name: String
    public let cniVersion: String
    /// The plugin objects, in the order of ADD.
    let plugins: [APIValue]
    /// File it came from.
    public let path: String

    /// The types of the plugins, in the order of ADD.
    public var pluginTypes: [String] { plugins.compactMap { $0["type"]?.stringValue } }

    /// Reads the lexically first file with the extension `.conflist`, `.conf` or `.json`, as container runtimes do.
    ///
    /// - Throws: `invalidInput` that names the file and the field.
    public static func loadFirst(in directory: String) throws -> CNIConfigurationList {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        let extensions = [".conflist", ".conf", ".json"]
        guard let name = names.sorted().first(where: { name in extensions.contains(where: name.hasSuffix) }) else {
            throw LabError(
                code: .invalidInput, message: "no CNI configuration in \(directory)",
                advice: "put a .conflist file there")
        }
        return try CNIConfigurationList(path: "\(directory)/\(name)")
    }

    /// Reads one file. A single plugin object counts as a list of one.
    public init(path: String) throws {
        guard let data = FileManager.default.contents(atPath: path), data.count <= 1 << 20 else {
            throw Self.refuse(path, "the file", "a readable file of at most 1 MiB")
        }
        let value: APIValue
        do {
            value = try APIValueParser.parse(Array(data))
        } catch {
            throw Self.refuse(path, "byte \(error.offset)", "JSON (\(error.message))")
        }
        guard let name = value["name"]?.stringValue, !name.isEmpty else {
            throw Self.refuse(path, "name", "a text that is not empty")
        }
        self.path = path
        self.name = name
        cniVersion = value["cniVersion"]?.stringValue ?? "0.2.0"
        plugins = value["plugins"]?.arrayValue ?? [value]
        for (index, plugin) in plugins.enumerated() {
            guard let type = plugin["type"]?.stringValue, !type.isEmpty, !type.contains("/") else {
                throw Self.refuse(path, "plugins[\(index)].type", "the file name of a plugin")
            }
        }
        guard !plugins.isEmpty else { throw Self.refuse(path, "plugins", "at least one plugin") }
    }

    private static func refuse(_ path: String, _ field: String, _ allowed: String) -> LabError {
        LabError(
            code: .invalidInput, message: "CNI configuration \(path): \(field) is wrong",
            advice: "allowed: \(allowed)")
    }

    /// What plugin number `index` reads from its standard input: its object with the list's name and version, the
    /// result so far, and the arguments for the capabilities it declares.
    func input(of index: Int, previous: APIValue?, capabilityArguments: [String: APIValue]) -> [UInt8] {
        var configuration = plugins[index]
        configuration["name"] = .string(name)
        configuration["cniVersion"] = .string(cniVersion)
        configuration["prevResult"] = previous
        let declared = configuration["capabilities"]?.objectValue ?? [:]
        configuration["capabilities"] = nil
        let arguments = capabilityArguments.filter { declared[$0.key]?.boolValue == true }
        if !arguments.isEmpty { configuration["runtimeConfig"] = .object(arguments) }
        return configuration.encoded()
    }
}
