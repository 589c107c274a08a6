import LinuxNet

/// The section `node` of `host.yaml`.
public struct NodeSettings: Codable, Sendable, Equatable {
    /// Absolute path of the unix socket that `kube-egress-cni` talks to, at most 100 bytes.
    public var socketPath = "/run/kube-egress-gateway/cni.sock"
    /// Absolute path of the container runtime's CNI configuration directory.
    public var cniConfigurationDirectory = "/etc/cni/net.d"
    /// Destinations (IPv4 CIDR) that never take a tunnel (upstream flag `--exception-cidrs`).
    public var exceptionCIDRs = ["169.254.169.254/32"]
    /// How long ADD waits at most until the gateways know the new peer, in seconds, 0..30; 0: not at all.
    public var gatewayWaitSeconds = 5
    /// Absolute path of a file; while it holds `true`, our CNI configuration is kept out of the directory (upstream's
    /// ConfigMap `cni-uninstall`, mounted). Nil: it is never taken away.
    public var uninstallFile: String?

    /// All fields, for messages about unknown ones.
    public static let fieldNames = [
        "socketPath", "cniConfigurationDirectory", "exceptionCIDRs", "gatewayWaitSeconds", "uninstallFile",
    ]

    /// The defaults.
    public init() {}

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        socketPath = try container.decodeIfPresent(String.self, forKey: .socketPath) ?? socketPath
        cniConfigurationDirectory =
            try container.decodeIfPresent(String.self, forKey: .cniConfigurationDirectory)
            ?? cniConfigurationDirectory
        exceptionCIDRs = try container.decodeIfPresent([String].self, forKey: .exceptionCIDRs) ?? exceptionCIDRs
        gatewayWaitSeconds = try container.decodeIfPresent(Int.self, forKey: .gatewayWaitSeconds) ?? gatewayWaitSeconds
        uninstallFile = try container.decodeIfPresent(String.self, forKey: .uninstallFile)
    }

    /// Checks every field.
    ///
    /// - Throws: ``HostError`` with code ``HostError/Code/configuration`` for the first field that breaks its rule.
    public func validate() throws {
        // 107 bytes fit into sockaddr_un; the rest is for the temporary name the socket is made under.
        guard socketPath.hasPrefix("/"), socketPath.utf8.count <= 100 else {
            throw Self.refuse("socketPath", socketPath, "an absolute path of at most 100 bytes")
        }
        guard cniConfigurationDirectory.hasPrefix("/") else {
            throw Self.refuse("cniConfigurationDirectory", cniConfigurationDirectory, "an absolute path")
        }
        for (index, text) in exceptionCIDRs.enumerated() {
            guard let prefix = try? IPPrefix(parsing: text, hostBits: .clear), prefix.family == .ipv4 else {
                throw Self.refuse("exceptionCIDRs[\(index)]", text, "an IPv4 CIDR such as 10.0.0.0/8")
            }
        }
        guard (0...30).contains(gatewayWaitSeconds) else {
            throw Self.refuse("gatewayWaitSeconds", String(gatewayWaitSeconds), "0 to 30")
        }
        if let uninstallFile, !uninstallFile.hasPrefix("/") {
            throw Self.refuse("uninstallFile", uninstallFile, "an absolute path")
        }
    }

    private static func refuse(_ field: String, _ value: String, _ allowed: String) -> HostError {
        HostError(.configuration, "node.\(field): \"\(value)\" is not allowed; allowed: \(allowed)")
    }
}
