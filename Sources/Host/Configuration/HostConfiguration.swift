import FoundationEssentials
import ProviderKit

/// The daemon's three roles.
public enum Role: String, Sendable, CaseIterable, Codable {
    case manager, gateway, node

    /// What the plugin list must offer for this role to start; ``Daemon`` asks for the same.
    var requiredCapabilities: [any CapabilityContract.Type] {
        switch self {
        case .manager: [LoadBalancer.self, NodePool.self]
        case .gateway: [Tunnel.self]
        case .node: [Tunnel.self, PodNetwork.self]
        }
    }
}

/// Where a plugin runs.
public enum PluginIsolation: Sendable, Equatable, Codable {
    /// In the host itself: a trap of the plugin ends the host.
    case inProcess
    /// In a child of the host, which is restarted when it ends, and ended when it holds more memory than this.
    case process(memoryLimitMiB: Int)

    /// Resident memory of a plugin's process unless its entry says otherwise. One that does nothing holds about 20 MiB.
    public static let defaultMemoryLimitMiB = 512

    /// As host.yaml spells it.
    public var name: String {
        switch self {
        case .inProcess: "in-process"
        case .process: "process"
        }
    }
}

/// One entry of the plugin list.
public struct PluginEntry: Sendable, Equatable, Codable {
    /// How closely a plugin is watched.
    public enum Checking: String, Sendable, CaseIterable, Codable {
        /// What costs nothing: completions, bounds, the shape of results.
        case basic
        /// Also each request and result by its schema, thread and state rules, and use of borrowed memory.
        case full
    }

    /// Unique within the list; names the instance in logs.
    public var name: String
    /// File name relative to the plugin directory, or an absolute path.
    public var path: String
    /// The entry's `config` object as JSON; `{}` if there is none.
    public var configuration: Data
    /// Files of the secrets that the plugin may read, by the names it asks for.
    public var secrets: [String: String] = [:]
    /// How closely the plugin is watched.
    public var checking = Checking.basic
    /// Where the entry begins in its file, from 1, for messages; nil if it comes from no file.
    public var line: Int?
    public var isolation: PluginIsolation

    public init(
        name: String, path: String, configuration: Data, line: Int? = nil, isolation: PluginIsolation = .inProcess
    ) {
        self.isolation = isolation
        self.name = name
        self.path = path
        self.configuration = configuration
        self.line = line
    }

    /// The plugin's file.
    ///
    /// - Parameter directory: where relative paths start.
    public func file(in directory: String) -> String {
        path.hasPrefix("/") ? path : "\(directory)/\(path)"
    }
}

/// Settings of the manager role.
public struct ManagerSettings: Sendable, Equatable {
    /// Namespace of the Secrets with the gateways' keys (upstream flag `--secret-namespace`).
    public var secretNamespace = "kube-egress-gateway-system"
    /// Port of the gateways' health probe servers (upstream flag `--gateway-lb-probe-port`), 1..65535.
    public var gatewayProbePort = 8082
    /// How long a configuration is left alone that only a person can mend, and one whose provider cannot compare it with
    /// the cloud, in seconds (upstream behaviour section 2.5: 5 minutes).
    public var resyncSeconds = 300
    /// How often the cloud is compared with what is desired.
    public var drift = DriftSettings()
    /// Whether several managers share the work by turns (upstream flag `--leader-elect`).
    public var leaderElection = false
    /// Namespace of the Lease (upstream flag `--leader-election-namespace`).
    public var leaderElectionNamespace = "kube-egress-gateway-system"
    /// Which prefixes users may bring; nil: all that the daemon's identity may use.
    public var broughtPrefixes: PrefixAllowList?

    public init() {}
}

/// `host.yaml`: everything that decides what one daemon is and does.
public struct HostConfiguration: Sendable, Equatable {
    public var role: Role
    /// The Kubernetes node this daemon runs on; required for the roles gateway and node.
    public var nodeName: String
    /// A level of swift-log: trace, debug, info, notice, warning, error, critical.
    public var logLevel: String
    /// Where relative plugin paths start; nil: `../lib/plugins` from the daemon's own file.
    public var pluginDirectory: String?
    /// Path of a kubeconfig; nil: the service account of the pod the daemon runs in.
    public var kubeconfig: String?
    /// Which plugin files may be loaded.
    public var trust: TrustPolicy
    public var plugins: [PluginEntry]
    public var manager: ManagerSettings
    public var gateway: GatewaySettings
    public var node: NodeSettings
    public var observability = ObservabilitySettings()
}
