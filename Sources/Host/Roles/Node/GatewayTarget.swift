import Kubernetes
import LinuxNet
import ProviderKit

/// What a pod needs to know of its gateway; exists only if the gateway is ready.
struct GatewayTarget: Sendable, Equatable {
    /// Name of the StaticGatewayConfiguration in the pod's namespace.
    var name: String
    var endpoint: Tunnel.Endpoint
    var publicKey: String
    var defaultRoute: PodNetwork.DefaultRoute
    /// Destinations that take the other path than `defaultRoute`.
    var excludedCIDRs: [String]

    /// - Throws: ``CNIFailure`` that names what is missing.
    init(_ configuration: StaticGatewayConfiguration) throws {
        let label = "StaticGatewayConfiguration \(configuration.qualifiedName)"
        if configuration.metadata.deletionTimestamp != nil {
            throw CNIFailure(.tryAgainLater, "\(label) is being deleted")
        }
        let profile = configuration.status?.gatewayServerProfile ?? GatewayServerProfile()
        let missing = [
            ("status.egressIpPrefix", configuration.status?.egressIpPrefix ?? ""),
            ("status.gatewayServerProfile.ip", profile.ip),
            ("status.gatewayServerProfile.port", profile.port == 0 ? "" : String(profile.port)),
            ("status.gatewayServerProfile.publicKey", profile.publicKey),
        ].filter { $0.1.isEmpty }.map(\.0)
        guard missing.isEmpty else {
            throw CNIFailure(
                .tryAgainLater, "\(label) is not ready", details: "still empty: \(missing.joined(separator: ", "))")
        }
        guard IPAddress(profile.ip) != nil, (1...65_535).contains(profile.port) else {
            throw CNIFailure(
                .tryAgainLater, "\(label) is not ready",
                details: "status.gatewayServerProfile \(profile.ip):\(profile.port) is no address and port")
        }
        guard let route = PodNetwork.DefaultRoute(rawValue: configuration.spec.defaultRoute.rawValue) else {
            throw CNIFailure(
                .configuration,
                "\(label): spec.defaultRoute \"\(configuration.spec.defaultRoute.rawValue)\" is unknown",
                details: "allowed: azureNetworking, staticEgressGateway")
        }
        name = configuration.metadata.name
        endpoint = Tunnel.Endpoint(address: profile.ip, port: Int(profile.port))
        publicKey = profile.publicKey
        defaultRoute = route
        excludedCIDRs = try configuration.spec.excludeCidrs.enumerated().map { index, text in
            guard let prefix = try? IPPrefix(parsing: text, hostBits: .clear), prefix.family == .ipv4 else {
                throw CNIFailure(
                    .configuration, "\(label): spec.excludeCidrs[\(index)] \"\(text)\" is not allowed",
                    details: "an IPv4 CIDR such as 10.0.0.0/8 is allowed")
            }
            return prefix.description
        }
    }

    /// Destinations that the pod's routes must name.
    var expectedDestinations: Set<String> {
        Set(excludedCIDRs + (defaultRoute == .staticEgressGateway ? ["0.0.0.0/0"] : []))
    }
}
