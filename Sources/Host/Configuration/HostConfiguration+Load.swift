import FoundationEssentials
import ProviderKit

extension HostConfiguration {
    /// Reads `host.yaml`.
    ///
    /// - Throws: ``HostError`` with code ``HostError/Code/configuration``; one line per mistake, each with the file's
    ///   line, the field, the value and what is allowed.
    public static func load(path: String) throws -> HostConfiguration {
        try parse(readText(path), name: path)
    }

    /// Parses the text of a `host.yaml`.
    ///
    /// - Parameter name: the file's name for messages.
    public static func parse(_ text: String, name: String) throws -> HostConfiguration {
        let review = try ConfigurationReview(text, name: name)
        guard let configuration = review.configuration, review.mistakes.isEmpty else {
            throw HostError(.configuration, review.mistakes.joined(separator: "\n"))
        }
        return configuration
    }

    /// - Throws: ``HostError`` if the file cannot be read as UTF-8 text.
    static func readText(_ path: String) throws -> String {
        do {
            return try String(contentsOf: URL(filePath: path), encoding: .utf8)
        } catch let error as CocoaError {
            let reason =
                switch error.code {
                case .fileReadNoSuchFile: "there is no such file"
                case .fileReadNoPermission: "permission denied"
                case .fileReadInapplicableStringEncoding: "is not UTF-8 text"
                default: "\(error)"
                }
            throw HostError(.configuration, "\(path): cannot be read: \(reason)")
        } catch {
            throw HostError(.configuration, "\(path): cannot be read: \(error)")
        }
    }

    /// Where relative plugin paths start: `../lib/plugins` from the running program's own file, unless the file says
    /// otherwise.
    public var effectivePluginDirectory: String {
        if let pluginDirectory { return pluginDirectory }
        let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/usr/bin/x"
        return URL(filePath: program).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "lib/plugins").path
    }

    private static let logLevels = ["trace", "debug", "info", "notice", "warning", "error", "critical"]

    static func read(_ reader: SettingsReader) -> HostConfiguration {
        reader.allowOnly([
            "role", "nodeName", "logLevel", "pluginDirectory", "kubernetes", "plugins", "manager", "gateway", "node",
            "observability", "trust",
        ])
        let role = readRole(reader)
        // One file serves all pods of a DaemonSet; each gets its node's name in its environment (upstream behaviour 2.1).
        let nodeName = reader.string("nodeName") ?? ProcessInfo.processInfo.environment["MY_NODE_NAME"] ?? ""
        if let role, role != .manager, nodeName.isEmpty {
            reader.report(
                "nodeName",
                "is missing, as is the environment variable MY_NODE_NAME; the role \(role.rawValue) needs the name "
                    + "of its Kubernetes node")
        }
        let logLevel = reader.string("logLevel") ?? "info"
        if !logLevels.contains(logLevel) {
            reader.report("logLevel", "is \"\(logLevel)\"; allowed are \(logLevels.joined(separator: ", "))")
        }
        let kubernetes = reader.nested("kubernetes")
        kubernetes?.allowOnly(["kubeconfig"])
        let plugins = readPlugins(reader)
        return HostConfiguration(
            role: role ?? .manager, nodeName: nodeName, logLevel: logLevel,
            pluginDirectory: reader.string("pluginDirectory"),
            kubeconfig: kubernetes?.string("kubeconfig"), trust: readTrust(reader), plugins: plugins,
            manager: readManager(reader),
            gateway: readSection(
                reader, "gateway", defaults: GatewaySettings(), known: GatewaySettings.fieldNames,
                validate: { try $0.validate() }),
            node: readSection(
                reader, "node", defaults: NodeSettings(), known: NodeSettings.fieldNames,
                validate: { try $0.validate() }),
            observability: ObservabilitySettings.read(reader))
    }

    private static func readRole(_ reader: SettingsReader) -> Role? {
        guard let text = reader.requiredString("role") else { return nil }
        guard let role = Role(rawValue: text) else {
            let allowed = Role.allCases.map(\.rawValue).joined(separator: ", ")
            reader.report("role", "is \"\(text)\"; allowed are \(allowed)")
            return nil
        }
        return role
    }

    private static func readPlugins(_ reader: SettingsReader) -> [PluginEntry] {
        var names = Set<String>()
        return reader.list("plugins").compactMap { entry in
            entry.allowOnly(["name", "path", "config", "isolation", "memoryLimitMiB", "secrets", "checking"])
            guard let name = entry.requiredString("name"), let path = entry.requiredString("path") else { return nil }
            if !names.insert(name).inserted {
                entry.report("name", "is \"\(name)\" a second time; names must be unique in the list")
            }
            var plugin = PluginEntry(
                name: name, path: path, configuration: entry.json("config"), line: entry.line,
                isolation: readIsolation(entry))
            plugin.secrets = readSecrets(entry)
            plugin.checking = readChecking(entry)
            return plugin
        }
    }

    private static func readChecking(_ entry: SettingsReader) -> PluginEntry.Checking {
        guard let text = entry.string("checking") else { return .basic }
        if let checking = PluginEntry.Checking(rawValue: text) { return checking }
        let allowed = PluginEntry.Checking.allCases.map(\.rawValue).joined(separator: ", ")
        entry.report("checking", "is \"\(text)\"; allowed are \(allowed)")
        return .basic
    }

    /// `secrets: {name: {file: /path}}`.
    private static func readSecrets(_ entry: SettingsReader) -> [String: String] {
        guard let section = entry.nested("secrets") else { return [:] }
        var files: [String: String] = [:]
        for name in section.fieldNames {
            guard (1...255).contains(name.utf8.count) else {
                section.report(name, "is a name of \(name.utf8.count) bytes; allowed are 1 to 255")
                continue
            }
            guard let secret = section.nested(name) else { continue }
            secret.allowOnly(["file"])
            guard let file = secret.requiredString("file") else { continue }
            if !file.hasPrefix("/") { secret.report("file", "is \"\(file)\"; it must be an absolute path") }
            files[name] = file
        }
        return files
    }

    private static func readIsolation(_ entry: SettingsReader) -> PluginIsolation {
        let limit = entry.integer("memoryLimitMiB", in: 32...65_536)
        switch entry.string("isolation") ?? "in-process" {
        case "in-process":
            if limit != nil { entry.report("memoryLimitMiB", "is only for isolation: process") }
            return .inProcess
        case "process": return .process(memoryLimitMiB: limit ?? PluginIsolation.defaultMemoryLimitMiB)
        case let other:
            entry.report("isolation", "is \"\(other)\"; allowed are in-process, process")
            return .inProcess
        }
    }

    private static func readManager(_ reader: SettingsReader) -> ManagerSettings {
        var settings = ManagerSettings()
        guard let section = reader.nested("manager") else { return settings }
        section.allowOnly([
            "secretNamespace", "gatewayProbePort", "resyncSeconds", "leaderElection", "leaderElectionNamespace",
            "broughtPrefixes", "drift",
        ])
        settings.broughtPrefixes = readPrefixes(section)
        settings.leaderElection = section.boolean("leaderElection") ?? settings.leaderElection
        settings.leaderElectionNamespace =
            section.string("leaderElectionNamespace") ?? settings.leaderElectionNamespace
        settings.secretNamespace = section.string("secretNamespace") ?? settings.secretNamespace
        settings.gatewayProbePort = section.integer("gatewayProbePort", in: 1...65_535) ?? settings.gatewayProbePort
        settings.resyncSeconds = section.integer("resyncSeconds", in: 10...86_400) ?? settings.resyncSeconds
        settings.drift = DriftSettings.read(section.nested("drift"))
        return settings
    }

    /// Reads a role's section through its own Codable form and rules.
    private static func readSection<Settings: Decodable>(
        _ reader: SettingsReader, _ name: String, defaults: Settings, known: [String],
        validate: (Settings) throws -> Void
    ) -> Settings {
        guard let section = reader.nested(name) else { return defaults }
        section.allowOnly(known)
        do {
            let settings = try JSONDecoder().decode(Settings.self, from: reader.json(name))
            try validate(settings)
            return settings
        } catch let error as DecodingError {
            reader.report(name, error.oneLine)
        } catch {
            reader.report(name, String(describing: error))
        }
        return defaults
    }
}
