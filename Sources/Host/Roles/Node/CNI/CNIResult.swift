import JSONModel
import Kubernetes
import LinuxNet
import ProviderKit

/// The result of the plugins before this one, and what this one adds. Everything it does not know is kept.
struct CNIResult: Sendable, Equatable {
    /// Name of the tunnel's link in the pod (upstream behaviour section 2.4).
    static let tunnelLink = "wg0"
    /// The link's own address. Upstream copies `eth0`'s link-local address, which fails where IPv6 is off on `eth0`;
    /// the address is never seen outside the link, so a fixed one serves every pod. The gateways' end is fe80::1.
    static let tunnelAddress = "fe80::2/64"
    /// Versions whose results have `interfaces` and `ips`; chaining does not exist before them.
    static let chainableVersions = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]

    private(set) var value: JSONValue
    private let version: String

    init(_ value: JSONValue, version: String) {
        self.value = value
        self.version = version
    }

    private func items(_ field: String) -> [JSONValue] {
        if case .array(let items)? = value[field] { items } else { [] }
    }

    private mutating func set(_ field: String, _ items: [JSONValue]) {
        guard case .object(var members) = value else { return }
        members[field] = .array(items)
        value = .object(members)
    }

    /// The pod's IPv4 address: the first one of an interface inside the pod's namespace.
    ///
    /// - Throws: ``CNIFailure`` if there is none.
    func podAddress(namespace: String) throws -> IPAddress {
        let interfaces = items("interfaces")
        for item in items("ips") {
            guard let text = item["address"]?.text, let parts = try? IPPrefix.split(text),
                parts.address.family == .ipv4
            else { continue }
            // Without an index the address is the container's; an interface without a sandbox is the host's (CNI
            // specification, section 5).
            if case .integer(let index)? = item["interface"], index >= 0, index < interfaces.count,
                interfaces[Int(index)]["sandbox"]?.text != namespace
            {
                continue
            }
            return parts.address
        }
        throw CNIFailure(
            .configuration, "prevResult.ips holds no IPv4 address of the pod",
            details: "the plugin before this one must give the pod an IPv4 address")
    }

    /// The namespace that an interface is in, if the result knows it.
    func sandbox(of interface: String) -> String? {
        items("interfaces").first { $0["name"]?.text == interface }?["sandbox"]?.text
    }

    /// Adds the tunnel's link and the routes of the pod (upstream behaviour sections 5.2 and 5.5).
    func adding(
        routes: [PodNetwork.Route], namespace: String, defaultRoute: PodNetwork.DefaultRoute
    ) -> CNIResult {
        var result = self
        let interfaces = items("interfaces").filter { $0["name"]?.text != Self.tunnelLink }
        result.set(
            "interfaces",
            interfaces + [.object(["name": .string(Self.tunnelLink), "sandbox": .string(namespace)])])
        var address: [String: JSONValue] = [
            "address": .string(Self.tunnelAddress), "interface": .integer(Int64(interfaces.count)),
        ]
        // Dropped from the result in 1.0.0.
        if version.hasPrefix("0.") { address["version"] = "6" }
        result.set("ips", items("ips") + [.object(address)])
        let added = routes.map { route in
            var members: [String: JSONValue] = ["dst": .string(route.destination)]
            if let gateway = route.gateway { members["gw"] = .string(gateway) }
            return JSONValue.object(members)
        }
        let kept = defaultRoute == .staticEgressGateway ? [] : items("routes").filter { !added.contains($0) }
        result.set("routes", kept + added)
        return result
    }
}
