import LinuxNet

/// The section `gateway` of `host.yaml`.
public struct GatewaySettings: Codable, Sendable, Equatable {
    /// Namespace of the Secrets with the gateways' keys and of the GatewayStatus objects.
    public var secretNamespace = "kube-egress-gateway-system"
    /// TCP port of the health probe server, 1..65535.
    public var gatewayProbePort = 8082
    /// Name of the network namespace that the tunnels end in; made if it is not there.
    public var networkNamespace = "ns-static-egress-gateway"
    /// The node's interface to the network, 1..15 bytes.
    public var uplink = "eth0"
    /// How long probes are answered 503 before the daemon ends, in seconds, 0..300, so that the load balancer sends
    /// new flows elsewhere first (upstream flag `--lb-probe-drain-delay-seconds`).
    public var drainSeconds = 10

    /// All fields, for messages about unknown ones.
    public static let fieldNames = [
        "secretNamespace", "gatewayProbePort", "networkNamespace", "uplink", "drainSeconds",
    ]

    /// The defaults.
    public init() {}

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        secretNamespace = try container.decodeIfPresent(String.self, forKey: .secretNamespace) ?? secretNamespace
        gatewayProbePort = try container.decodeIfPresent(Int.self, forKey: .gatewayProbePort) ?? gatewayProbePort
        networkNamespace = try container.decodeIfPresent(String.self, forKey: .networkNamespace) ?? networkNamespace
        uplink = try container.decodeIfPresent(String.self, forKey: .uplink) ?? uplink
        drainSeconds = try container.decodeIfPresent(Int.self, forKey: .drainSeconds) ?? drainSeconds
    }

    /// Checks every field.
    ///
    /// - Throws: ``HostError`` with code ``HostError/Code/configuration`` for the first field that breaks its rule.
    public func validate() throws {
        guard !secretNamespace.isEmpty, secretNamespace.utf8.count <= 63 else {
            throw Self.refuse("secretNamespace", secretNamespace, "a Kubernetes namespace")
        }
        guard (1...65_535).contains(gatewayProbePort) else {
            throw Self.refuse("gatewayProbePort", String(gatewayProbePort), "1 to 65535")
        }
        guard (try? NetworkNamespace(name: networkNamespace)) != nil else {
            throw Self.refuse("networkNamespace", networkNamespace, "a file name without \"/\"")
        }
        // The label of the load balancer's address, "<uplink>:egress", must fit into 15 bytes too.
        guard (try? Link.validate(name: uplink)) != nil, uplink.utf8.count <= 8 else {
            throw Self.refuse("uplink", uplink, "an interface name of at most 8 bytes")
        }
        guard (0...300).contains(drainSeconds) else {
            throw Self.refuse("drainSeconds", String(drainSeconds), "0 to 300")
        }
    }

    private static func refuse(_ field: String, _ value: String, _ allowed: String) -> HostError {
        HostError(.configuration, "gateway.\(field): \"\(value)\" is not allowed; allowed: \(allowed)")
    }
}
