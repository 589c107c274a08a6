import FoundationEssentials
import JSONModel
import Kubernetes
import ProviderKit

/// The container runtime's network configuration with our plugin in it (upstream behaviour section 5.7). Pure.
enum Conflist {
    /// Sorts before what cluster tools install, so that the runtime takes it.
    static let fileName = "01-egressgateway.conflist"
    static let pluginType = "kube-egress-cni"
    /// Bytes of one configuration file; a longer one is not ours to copy.
    static let maximumBytes = 1 << 20

    /// The file whose networks ours extends: the first by name that the runtime would take.
    static func source(among names: [String]) -> String? {
        names.filter { name in
            guard name.lowercased() != fileName else { return false }
            return [".conflist", ".conf", ".json"].contains { name.hasSuffix($0) }
        }.min()
    }

    /// Our file's content.
    ///
    /// - Throws: ``HostError`` that names the source file, the field and what is allowed.
    static func extending(_ name: String, _ contents: Data, with settings: NodeSettings) throws -> Data {
        func refuse(_ reason: String) -> HostError { HostError(.configuration, "\(name): \(reason)") }
        guard contents.count <= maximumBytes else { throw refuse("longer than \(maximumBytes) bytes") }
        let source: JSONValue
        do {
            source = try KubernetesJSON.decode(JSONValue.self, from: contents)
        } catch {
            throw refuse("is not JSON: \((error as? DecodingError)?.oneLine ?? String(describing: error))")
        }
        guard case .object(let members) = source else { throw refuse("is not a JSON object") }
        var list = members
        if name.hasSuffix(".conflist") {
            guard case .array(var plugins)? = members["plugins"], !plugins.isEmpty else {
                throw refuse("field plugins is missing or empty; allowed: an array of plugin objects")
            }
            for (index, plugin) in plugins.enumerated() where plugin["type"]?.text == nil {
                throw refuse("field plugins[\(index)].type is missing; allowed: the name of a plugin")
            }
            plugins.removeAll { $0["type"]?.text?.lowercased() == pluginType }
            plugins.insert(plugin(settings), at: min(1, plugins.count))
            list["plugins"] = .array(plugins)
        } else {
            guard let network = members["name"]?.text, !network.isEmpty else {
                throw refuse("field name is missing; allowed: the name of the network")
            }
            list = ["name": .string(network), "plugins": .array([source, plugin(settings)])]
            if let version = members["cniVersion"] {
                guard version.text != nil else { throw refuse("field cniVersion is not a string") }
                list["cniVersion"] = version
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(JSONValue.object(list)) + Data("\n".utf8)
    }

    private static func plugin(_ settings: NodeSettings) -> JSONValue {
        .object([
            "type": .string(pluginType), "socketPath": .string(settings.socketPath),
            "excludedCIDRs": .array(settings.exceptionCIDRs.map { .string($0) }),
        ])
    }
}
