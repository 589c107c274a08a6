import FoundationEssentials
import JSONModel

/// What has to be done so that a running daemon is as another configuration says. Pure: two configurations in, actions
/// out.
struct ConfigurationChange: Sendable, Equatable {
    /// A difference that only a restart of the daemon can remove.
    struct Restart: Sendable, Equatable {
        /// As the file names it.
        var field: String
        /// The plugin that runs with the old value; nil if it is no plugin's.
        var plugin: String?
    }

    /// Entries of which nothing but `config` differs, as the file has them.
    private(set) var reconfigured: [PluginEntry] = []
    private(set) var logLevel: String?
    private(set) var restarts: [Restart] = []

    init(from running: HostConfiguration, to wanted: HostConfiguration) {
        var rest = wanted
        if wanted.logLevel != running.logLevel { logLevel = wanted.logLevel }
        rest.logLevel = running.logLevel
        comparePlugins(running.plugins, wanted.plugins)
        rest.plugins = running.plugins
        compare("role", \.role, &rest, running)
        compare("nodeName", \.nodeName, &rest, running)
        compare("pluginDirectory", \.pluginDirectory, &rest, running)
        compare("kubernetes.kubeconfig", \.kubeconfig, &rest, running)
        compare("trust", \.trust, &rest, running)
        compare("manager", \.manager, &rest, running)
        compare("gateway", \.gateway, &rest, running)
        compare("node", \.node, &rest, running)
        compare("observability", \.observability, &rest, running)
        // A field that is not named above must not go unseen.
        if rest != running { restarts.append(Restart(field: "other fields")) }
    }

    private mutating func compare<Value: Equatable>(
        _ field: String, _ path: WritableKeyPath<HostConfiguration, Value>, _ rest: inout HostConfiguration,
        _ running: HostConfiguration
    ) {
        guard rest[keyPath: path] != running[keyPath: path] else { return }
        restarts.append(Restart(field: field))
        rest[keyPath: path] = running[keyPath: path]
    }

    private mutating func comparePlugins(_ running: [PluginEntry], _ wanted: [PluginEntry]) {
        let before = Dictionary(running.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let after = Set(wanted.map(\.name))
        for (index, entry) in wanted.enumerated() {
            if let old = before[entry.name] {
                compareEntries("plugins[\(index)]", old, entry)
            } else {
                restarts.append(Restart(field: "plugins[\(index)] (\(entry.name) is new)"))
            }
        }
        for entry in running where !after.contains(entry.name) {
            restarts.append(Restart(field: "plugins (\(entry.name) is gone)", plugin: entry.name))
        }
        let order = wanted.map(\.name).filter { before[$0] != nil }
        if order != running.map(\.name).filter(after.contains) { restarts.append(Restart(field: "plugins (order)")) }
    }

    private mutating func compareEntries(_ field: String, _ old: PluginEntry, _ new: PluginEntry) {
        var rest = new
        rest.line = old.line
        rest.configuration = old.configuration
        var fields: [String] = []
        if rest.path != old.path { fields.append("\(field).path") }
        rest.path = old.path
        if rest.isolation != old.isolation { fields.append("\(field).isolation") }
        rest.isolation = old.isolation
        if rest != old { fields.append("\(field) (other members)") }
        if !Self.areSame(old.configuration, new.configuration) {
            // Settings for another file or process are that one's.
            if fields.isEmpty { reconfigured.append(new) } else { fields.append("\(field).config") }
        }
        restarts += fields.map { Restart(field: $0, plugin: new.name) }
    }

    /// Compares JSON texts by what they mean: members have no order.
    private static func areSame(_ left: Data, _ right: Data) -> Bool {
        if left == right { return true }
        guard let left = try? JSONValue(json: left), let right = try? JSONValue(json: right) else { return false }
        return left == right
    }
}
