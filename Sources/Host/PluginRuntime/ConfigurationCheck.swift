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
        /// Also an instance of each is made with its settings and ended again (the ABI forbids IO in both), and the
        /// capabilities that the role needs are looked for.
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
            let (configuration, mistakes) = try HostConfiguration.review(text, name: path)
            errors = mistakes
            guard let configuration else { return }
            var loader = PluginLoader(policy: configuration.trust, role: configuration.role, logger: logger)
            let directory = configuration.effectivePluginDirectory
            for entry in configuration.plugins {
                do {
                    let image = try loader.load(entry.file(in: directory))
                    plugins.append(try await inspect(entry, image, depth: depth, logger: logger))
                } catch {
                    errors += Self.lines(of: error, path: path, line: entry.line)
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

    private mutating func inspect(
        _ entry: PluginEntry, _ image: PluginImage, depth: Depth, logger: Logger
    ) async throws -> PluginSummary {
        guard depth == .instances else { return PluginSummary(entry, image) }
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
        return PluginSummary(entry, image)
    }

    private static func missing(_ identifier: String, _ role: Role, _ plugins: [PluginSummary]) -> String {
        let offered = plugins.map { "\($0.name): \($0.capabilities.joined(separator: " "))" }
        return "plugins: none offers \(identifier), which the role \(role.rawValue) needs; the list offers "
            + (offered.isEmpty ? "nothing" : offered.joined(separator: ", "))
    }

    /// A plugin may write several lines; each is shown as one of ours.
    private static func lines(of error: any Error, path: String, line: Int?) -> [String] {
        String(describing: error).split(separator: "\n")
            .map { "\(path): " + (line.map { "line \($0): " } ?? "") + $0 }
    }
}
