import AzureARM
import AzureLBProvider
import AzureTestSupport
import Foundation
import JSONModel
import LinuxNet
import ProviderKit
import Testing

@testable import ProviderCheck

/// The validator over every plugin of the project, each in the environment that it works in.
@Suite(.serialized) struct PluginTests {
    private static let isRoot = geteuid() == 0
    private static let needsRoot: Comment = "makes network namespaces: needs root"

    /// Where the plugins lie as they are delivered, each with its manifest; nil: only the build's products are at hand.
    private static let installed = ProcessInfo.processInfo.environment["EGRESS_INSTALL_TREE"]
        .map { URL(filePath: $0).appending(path: "lib/plugins") }

    /// Runs all cases, prints the counts and wants none to fail.
    private func check(
        _ plugin: String, at path: String? = nil, _ config: JSONValue, in namespace: String? = nil
    ) async throws {
        let folder = Self.installed ?? Validator.products
        let file = path ?? folder.appending(path: "lib\(plugin).so").path
        let run = try await Validator.run(file, config: config, in: namespace)
        print("provider-check \(plugin): \(ReportPage.summary(run.reports))")
        for report in run.reports where report.outcome == .failed {
            Issue.record("\(plugin) fails \(report.name): \(report.reason ?? "") \(report.output ?? "")")
        }
        #expect(run.status == 0, "\(run.reports.isEmpty ? run.output : "")")
        var wanted: Set<String> = ["ensure-is-idempotent", "remove-removes", "fuzz-json"]
        if path == nil {
            wanted.formUnion(["bad-items-fail-alone", "check-changes-nothing"])
            if Self.installed != nil { wanted.insert("manifest-matches-descriptor") }
            if plugin != "CNIChain" { wanted.insert("prune-keeps-what-is-named") }
        }
        let lacking = wanted.subtracting(run.names(.passed))
        #expect(lacking.isEmpty, "\(plugin): \(lacking.sorted())")
    }

    @Test(.enabled(if: isRoot, needsRoot), arguments: ["WireGuard", "VXLAN"])
    func tunnels(plugin: String) async throws {
        let gateway = try Namespaces("gateway")
        let pod = try Namespaces("pod")
        // The node, with an uplink: tunnels end at addresses that others can reach.
        let node = try Namespaces("node")
        try await node.makePod()
        var config = TunnelItems.config(gateway: gateway.path, pod: pod.path)
        // The kernel's form has its own run, on a kernel that has it: make test-vm.
        if plugin == "WireGuard" { config["config"] = ["form": "userspace"] }
        try await check(plugin, config, in: URL(filePath: node.path).lastPathComponent)
    }

    @Test(.enabled(if: isRoot, needsRoot))
    func podNetworks() async throws {
        let pods = try [Namespaces("one"), Namespaces("two")]
        for pod in pods { try await pod.makePod() }
        let items = pods.map { pod in
            [
                "id": .string(pod.path), "namespace": .string(pod.path), "interface": "eth0", "tunnelLink": "wg0",
                "defaultRoute": "staticEgressGateway", "excludedCIDRs": ["192.0.2.0/24"],
                "exceptionCIDRs": ["10.0.0.0/8"],
            ] as JSONValue
        }
        var bad = items[0]
        bad["id"] = "bad"
        bad["namespace"] = .string("\(pods[0].path)-none")
        try await check(
            "CNIChain",
            ["capabilities": ["pod-network/1": ["items": .array(items), "invalidItems": .array([bad])]]])
    }

    @Test(arguments: [("AzureLB", "load-balancer/1"), ("AzureVMSS", "node-pool/1")])
    func clouds(plugin: String, capability: String) async throws {
        try await withSimulator(.test(latency: .milliseconds(1))) { _, client in
            if plugin == "AzureVMSS" { try await makeFrontend(client) }
            var config = try JSONValue(json: pluginConfiguration(endpoint: client.endpoint))
            config = [
                "config": config, "http": ["forward": [.string(client.endpoint)]],
                "capabilities": .object([capability: AzureItems.withPrune(capability)]),
            ]
            try await check(plugin, config)
        }
    }

    /// A pool's frontend comes before its addresses, as the manager does it.
    private func makeFrontend(_ client: ARMTestClient) async throws {
        let host = ProviderHost(TestHost())
        let cloud = try CloudConfiguration(pluginConfiguration: pluginConfiguration(endpoint: client.endpoint))
        let balancer = AzureLoadBalancer(client: ARMClient(host: host, configuration: cloud))
        let item = LoadBalancer.Desired(
            id: "frontend", pool: PoolSelector(nodepoolName: "gwpool"), probe: .init(path: "/gw", port: 8082))
        let results = try await balancer.ensure([item], TestHost().context())
        try #require(results.map(\.code) == [.ok])
    }

    @Test func theExampleInC() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = folder.url.appending(path: "libStaticLB.so").path
        let arguments = [
            "clang", "-std=c11", "-fPIC", "-shared", "-fvisibility=hidden", "-I", "Sources/ProviderAPI/include", "-o",
            file, "deploy/examples/provider-in-c/static_load_balancer.c",
        ]
        let (status, _) = try await Validator.launch(
            URL(filePath: "/usr/bin/env"), arguments, in: Validator.root)
        try #require(status == 0)
        var items = AzureItems.of("load-balancer/1")
        // It looks at ids only, so no item is wrong to it.
        items["invalidItems"] = []
        try await check(
            "StaticLB", at: file,
            [
                "config": ["frontendIP": "10.0.0.4", "firstPort": 6000],
                "capabilities": ["load-balancer/1": items],
            ])
    }
}

/// A namespace of one test's own, gone when the test ends.
private final class Namespaces: Sendable {
    private let namespace: NetworkNamespace
    var path: String { namespace.path }

    init(_ name: String) throws {
        namespace = try NetworkNamespace(name: "kegwt-check-\(name)-\(getpid())")
        try namespace.create()
    }

    deinit {
        _ = try? namespace.delete()
    }

    /// What a CNI plugin and a tunnel provider leave in a pod: `eth0` with a way out, and `wg0`.
    func makePod() async throws {
        let routes = try await RouteSocket.open(in: namespace)
        for (link, peer, address) in [("eth0", "r0", "10.244.0.20/24"), ("wg0", "t0", "fe80::2/64")] {
            try routes.createVeth(name: link, peer: VethPeer(name: peer, namespace: try namespace.open()))
            let index = try routes.requireLink(named: link).index
            let (parsed, length) = try IPPrefix.split(address)
            try routes.addAddress(
                InterfaceAddress(
                    parsed, prefixLength: length, linkIndex: index, skipsDuplicateDetection: parsed.family == .ipv6))
            try routes.setUp(true, index: index)
            try routes.setUp(true, index: try routes.requireLink(named: peer).index)
        }
        try routes.addRoute(
            Route(
                to: try IPPrefix(parsing: "0.0.0.0/0"), via: try IPAddress(parsing: "10.244.0.1"),
                linkIndex: try routes.requireLink(named: "eth0").index))
    }
}

/// Items of tunnel/1.
private enum TunnelItems {
    private static let privateKey = Data([8] + [UInt8](repeating: 1, count: 30) + [0x41]).base64EncodedString()
    private static let publicKey = Data([9] + [UInt8](repeating: 0, count: 31)).base64EncodedString()

    static func config(gateway: String, pod: String) -> JSONValue {
        let endpoint: JSONValue = ["address": "10.244.0.1", "port": 26_001]
        let podEnd: JSONValue = [
            "id": "pod", "namespace": .string(pod), "link": "wg0", "addresses": ["fe80::2/64"],
            "pod": ["endpoint": endpoint, "gatewayPublicKey": .string(publicKey)],
        ]
        let items = [end(gateway, 26_001), end(gateway, 26_002), podEnd]
        return [
            "capabilities": [
                "tunnel/1": [
                    "items": .array(items), "invalidItems": [end("\(gateway)-none", 26_003)],
                    "prune": ["namespaces": [.string(gateway), .string(pod)]],
                ]
            ]
        ]
    }

    private static func end(_ namespace: String, _ port: Int64) -> JSONValue {
        let peer: JSONValue = [
            "id": "peer", "publicKey": .string(publicKey), "allowedIPs": [.string("10.1.0.\(port % 256)/32")],
        ]
        return [
            "id": .string("gateway-\(port)"), "namespace": .string(namespace), "link": .string("wg-\(port)"),
            "addresses": ["fe80::1/64"],
            "gateway": ["port": .integer(port), "privateKey": .string(privateKey), "peers": [peer]],
        ]
    }
}

/// Items for the scale set of the simulator.
private enum AzureItems {
    /// Items with the case of `prune`, whose scope is the resource group. Named by UIDs: nothing else is pruned.
    static func withPrune(_ capability: String) -> JSONValue {
        var items = of(capability)
        items["prune"] = [:]
        return items
    }

    static func of(_ capability: String) -> JSONValue {
        [
            "items": .array(["a", "b"].map { item(capability, uid($0), "gwpool") }),
            "invalidItems": [item(capability, "x", "none")],
        ]
    }

    private static func uid(_ digit: String) -> String { "00000000-0000-4000-8000-00000000000\(digit)" }

    private static func item(_ capability: String, _ id: String, _ pool: String) -> JSONValue {
        var item: JSONValue = ["id": .string(id), "pool": ["nodepoolName": .string(pool)]]
        if capability == "load-balancer/1" {
            item["probe"] = ["path": .string("/gw/\(id)"), "port": 8082]
        } else {
            item["publicIPs"] = true
            item["prefixLength"] = 31
        }
        return item
    }
}
