import JSONModel
import Logging
import ProviderKit

/// A plugin of the list, as people see it.
public struct PluginSummary: Sendable, Equatable {
    /// Its name in the list.
    public var name: String
    /// The provider's own name.
    public var provider: String
    public var version: String
    public var capabilities: [String]
    public var file: String
    public var trust: TrustVerdict
    /// `in-process` or `process`.
    public var isolation: String

    init(_ entry: PluginEntry, _ image: PluginImage) {
        name = entry.name
        provider = image.descriptor.name
        version = image.descriptor.version
        capabilities = image.descriptor.capabilities
        file = image.path
        trust = image.trust
        isolation = entry.isolation.name
    }
}

/// A `host.yaml` with its plugins, looked at without starting the daemon.
public struct ConfigurationCheck: Sendable {
    /// How far the plugins are tried.
    public enum Depth: Sendable {
        /// Their files are opened and described.
        case files
        /// Also the settings of each are held against its schema, of the manifest if there is one. Only where that finds
        /// nothing, the plugin judges them itself, and an instance is made with them and ended again (the ABI forbids
        /// IO in all three). The capabilities that the role needs are looked for.
        case instances
    }

    /// The plugins without a fault, in the order of the list.
    public private(set) var plugins: [PluginSummary] = []
    /// One line per mistake, each with the file's name and, where there is one, the line.
    public private(set) var errors: [String] = []
    private var answered: Set<String> = []

    /// - Parameter logger: for what plugins say while they are made.
    public init(path: String, depth: Depth, logger: Logger) async {
        do {
            let text = try HostConfiguration.readText(path)
            let review = try ConfigurationReview(text, name: path)
            errors = review.mistakes
            guard let configuration = review.configuration else { return }
            var loader = PluginLoader(policy: configuration.trust, role: configuration.role, logger: logger)
            let directory = configuration.effectivePluginDirectory
            for entry in configuration.plugins {
                do {
                    let file = try loader.verify(entry.file(in: directory))
                    if depth == .instances {
                        try await tryInstance(entry, file, review, &loader, logger)
                    } else {
                        plugins.append(PluginSummary(entry, try loader.load(file)))
                    }
                } catch {
                    errors += String(describing: error).split(separator: "\n")
                        .map { review.line(entry.line, String($0)) }
                }
            }
            // With a faulty plugin or role in the list, a missing capability would be a second report of one mistake.
            guard depth == .instances, errors.isEmpty else { return }
            for contract in configuration.role.requiredCapabilities where !answered.contains(contract.identifier) {
                errors.append("\(path): \(Self.missing(contract.identifier, configuration.role, plugins))")
            }
        } catch {
            errors += String(describing: error).split(separator: "\n").map(String.init)
        }
    }

    private mutating func tryInstance(
        _ entry: PluginEntry, _ file: VerifiedPlugin, _ review: ConfigurationReview, _ loader: inout PluginLoader,
        _ logger: Logger
    ) async throws {
        // What the schema finds, the plugin would find a second time.
        if let manifest = file.manifest, try refuses(manifest.configurationSchema, entry, review) { return }
        let image = try loader.load(file)
        if file.manifest == nil, try refuses(image.descriptor.configurationSchema, entry, review) { return }
        let mistakes = try Self.judgement(of: image, on: entry)
        errors += review.lines(mistakes, in: entry)
        guard mistakes.isEmpty else { return }
        let instance = try await PluginInstance(image: image, entry: entry, logger: logger)
        let offered = instance.offered
        instance.close()
        await instance.ended()
        for identifier in image.descriptor.capabilities {
            guard offered[identifier] != nil else {
                throw HostError(
                    .plugin,
                    "plugin \(entry.name) (\(image.path)): its descriptor promises \(identifier), "
                        + "but its instance does not offer it")
            }
            answered.insert(identifier)
        }
        plugins.append(PluginSummary(entry, image))
    }

    /// Whether the schema finds mistakes in the settings.
    private mutating func refuses(
        _ document: JSONValue?, _ entry: PluginEntry, _ review: ConfigurationReview
    ) throws -> Bool {
        guard let document else { return false }
        let schema: JSONSchema
        do {
            schema = try JSONSchema(compiling: document)
        } catch {
            throw HostError(.plugin, "plugin \(entry.name): its configurationSchema cannot be used: \(error)")
        }
        let found = review.mistakes(in: entry, by: schema)
        errors += found
        return !found.isEmpty
    }

    /// What the plugin itself finds without making an instance; nothing if it leaves that to its `create`.
    private static func judgement(of image: PluginImage, on entry: PluginEntry) throws -> [JSONSchema.Mistake] {
        do {
            return try image.validate(entry.configuration).map { .init(path: $0.path, message: $0.message) }
        } catch let error as ProviderError where error.code == .unsupported {
            return []
        } catch {
            throw HostError(.plugin, "plugin \(entry.name) (\(image.path)): \(ProviderError(error).message)")
        }
    }

    private static func missing(_ identifier: String, _ role: Role, _ plugins: [PluginSummary]) -> String {
        let offered = plugins.map { "\($0.name): \($0.capabilities.joined(separator: " "))" }
        return "plugins: none offers \(identifier), which the role \(role.rawValue) needs; the list offers "
            + (offered.isEmpty ? "nothing" : offered.joined(separator: ", "))
    }
}
