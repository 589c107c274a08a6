import Foundation
import Kubernetes
import LinuxNet
import Reconcile
import Testing

@testable import Host

@Suite("Gateway: plan")
struct GatewayPlanTests {
    @Test("a ready configuration that lists this node becomes a server with its pods as peers")
    func server() throws {
        let plan = Fixture.plan(
            [Fixture.configuration("gw-a")], [Fixture.machines("gw-a")],
            [
                Fixture.endpoint("web-1", of: "gw-a", address: "10.244.0.21/32", key: 3),
                Fixture.endpoint("web-0", of: "gw-a", address: "10.244.0.20/32", key: 2),
                Fixture.endpoint("other", of: "gw-z", address: "10.244.0.22/32", key: 4),
            ])
        #expect(plan.rejections.isEmpty)
        let server = try #require(plan.servers.first)
        #expect(plan.servers.count == 1)
        #expect(server.uid == "uid-gw-a" && server.configuration == "team-a/gw-a")
        #expect(server.port == 6000 && server.link == "wg-6000")
        #expect(server.loadBalancerAddress == IPAddress("10.243.0.6"))
        #expect(server.primaryAddress == IPAddress("10.243.0.5"))
        #expect(server.secondaryAddress == IPAddress("10.243.0.7"))
        #expect(server.secret.name == "sgw-uid-gw-a")
        #expect(server.peers.map(\.endpoint) == ["team-a/web-0", "team-a/web-1"])
        #expect(server.peers.map(\.address) == [IPAddress("10.244.0.20"), IPAddress("10.244.0.21")])
        #expect(server.peers.map(\.publicKey) == [Fixture.key(2), Fixture.key(3)])
    }

    @Test("a standalone machine is known by its primary address, since its network interface is what is listed")
    func standaloneMachine() throws {
        let machines = [Fixture.machines("gw-a", node: "gateway-1-nic")]
        func plan(_ addresses: Set<String>) -> GatewayPlan {
            GatewayPlan(
                nodeName: "gateway-1", nodeAddresses: addresses, configurations: [Fixture.configuration("gw-a")],
                machines: machines, endpoints: [])
        }
        #expect(plan(["10.243.0.5"]).servers.first?.secondaryAddress == IPAddress("10.243.0.7"))
        #expect(plan([]).servers.isEmpty && plan(["10.243.0.7"]).servers.isEmpty)
    }

    @Test("the plan of what the indexes find is the plan of everything there is")
    func indexed() {
        let names = (0..<12).map { "gw-\($0)" }
        let configurations = names.enumerated().map { index, name in
            // Two want the same port.
            Fixture.configuration(name, port: Int32(6000 + index % 11), created: Double(index))
        }
        let nodes = ["Gateway-1", "gateway-2", "gateway-3-nic"]
        let machines = names.enumerated().map { index, name in
            Fixture.machines(
                name, primary: "10.243.0.\(10 + index % 3)", secondary: "10.243.1.\(index)", node: nodes[index % 3])
        }
        let endpoints = (0..<60).map { index in
            // Some name a configuration that is not there, some an address that is another's.
            Fixture.endpoint(
                "web-\(index)", of: "gw-\(index % 14)", address: "10.244.0.\(index % 50)/32", key: UInt8(index),
                created: Double(index))
        }
        let known = GatewayObjectIndex(
            configurations: ObjectStore(), machines: ObjectStore(indexes: GatewayObjectIndex.machineIndexes),
            endpoints: ObjectStore(indexes: GatewayObjectIndex.endpointIndexes))
        known.configurations.replaceAll(configurations)
        known.machines.replaceAll(machines)
        known.endpoints.replaceAll(endpoints)
        for (node, addresses) in [("gateway-1", []), ("gateway-2", ["10.243.0.11"]), ("gateway-3", ["10.243.0.12"])] {
            let whole = GatewayPlan(
                nodeName: node, nodeAddresses: Set(addresses), configurations: configurations, machines: machines,
                endpoints: endpoints)
            #expect(known.plan(nodeName: node, nodeAddresses: Set(addresses)) == whole)
            #expect(whole.servers.count >= 3 && whole.servers.contains { !$0.peers.isEmpty }, "\(node)")
        }
    }

    @Test("a configuration that is not complete, leaves or is elsewhere does not apply")
    func notApplying() {
        var incomplete: [StaticGatewayConfiguration] = []
        for change: (inout StaticGatewayConfigurationStatus) -> Void in [
            { $0.egressIpPrefix = "" }, { $0.gatewayServerProfile.ip = "" }, { $0.gatewayServerProfile.port = 0 },
            { $0.gatewayServerProfile.publicKey = "" }, { $0.gatewayServerProfile.privateKeySecretRef = nil },
        ] {
            var configuration = Fixture.configuration("gw-a")
            if var status = configuration.status {
                change(&status)
                configuration.status = status
            }
            incomplete.append(configuration)
        }
        var deleting = Fixture.configuration("gw-a")
        deleting.metadata.deletionTimestamp = Timestamp(Date())
        for configuration in incomplete + [deleting] {
            #expect(
                Fixture.plan([configuration], [Fixture.machines("gw-a")]) == GatewayPlan(servers: [], rejections: []))
        }
        let ready = Fixture.configuration("gw-a")
        let elsewhere = Fixture.machines("gw-a", node: "gateway-2")
        let halfKnown = Fixture.machines("gw-a", secondary: "")
        for machines in [[], [elsewhere], [halfKnown], [Fixture.machines("gw-b")]] {
            #expect(Fixture.plan([ready], machines).servers.isEmpty)
        }
    }

    @Test("of two configurations that collide the older one is served, the other is named")
    func collisions() {
        let old = Fixture.configuration("gw-b", created: 0)
        let samePort = Fixture.plan(
            [Fixture.configuration("gw-a", created: 5), old],
            [Fixture.machines("gw-a", secondary: "10.243.0.8"), Fixture.machines("gw-b")])
        #expect(samePort.servers.map(\.configuration) == ["team-a/gw-b"])
        #expect(
            samePort.rejections
                == [.init(object: "StaticGatewayConfiguration team-a/gw-a", reason: "port 6000 belongs to team-a/gw-b")]
        )
        let sameAddress = Fixture.plan(
            [Fixture.configuration("gw-a", port: 6001, created: 5), old],
            [Fixture.machines("gw-a"), Fixture.machines("gw-b")])
        #expect(sameAddress.servers.map(\.configuration) == ["team-a/gw-b"])
        #expect(sameAddress.rejections.first?.reason == "secondaryIP 10.243.0.7 belongs to team-a/gw-b")
    }

    @Test("a peer that is malformed or claims what belongs to an older one is refused by name")
    func peers() {
        let plan = Fixture.plan(
            [Fixture.configuration("gw-a")], [Fixture.machines("gw-a")],
            [
                Fixture.endpoint("good", of: "gw-a", address: "10.244.0.20/32", key: 2, created: 0),
                Fixture.endpoint("thief", of: "gw-a", address: "10.244.0.20/32", key: 3, created: 9),
                Fixture.endpoint("twin", of: "gw-a", address: "10.244.0.21/32", key: 2, created: 9),
                Fixture.endpoint("wide", of: "gw-a", address: "10.244.0.0/24", key: 4),
                Fixture.endpoint("six", of: "gw-a", address: "fd00::1/128", key: 5),
            ])
        #expect(plan.servers.first?.peers.map(\.endpoint) == ["team-a/good"])
        #expect(
            Set(plan.rejections.map(\.object))
                == [
                    "PodEndpoint team-a/thief", "PodEndpoint team-a/twin", "PodEndpoint team-a/wide",
                    "PodEndpoint team-a/six",
                ])
    }

    @Test("from plan to plan only the difference is done")
    func delta() {
        let machines = [Fixture.machines("gw-a"), Fixture.machines("gw-b", secondary: "10.243.0.8")]
        let first = GatewayNetworkState(
            Fixture.plan(
                [Fixture.configuration("gw-a"), Fixture.configuration("gw-b", port: 6001)], machines,
                [
                    Fixture.endpoint("web-0", of: "gw-a", address: "10.244.0.20/32", key: 2),
                    Fixture.endpoint("web-1", of: "gw-b", address: "10.244.0.21/32", key: 3),
                    Fixture.endpoint("web-2", of: "gw-b", address: "10.244.0.22/32", key: 4),
                ]))
        let second = GatewayNetworkState(
            Fixture.plan(
                [Fixture.configuration("gw-a"), Fixture.configuration("gw-c", port: 6002, frontend: "10.243.0.9")],
                machines + [Fixture.machines("gw-c", secondary: "10.243.0.10")],
                [
                    Fixture.endpoint("web-0", of: "gw-a", address: "10.244.0.20/32", key: 2),
                    Fixture.endpoint("web-1", of: "gw-c", address: "10.244.0.21/32", key: 3),
                ]))
        let none = GatewayNetworkDelta(from: first, to: first, isComplete: false)
        #expect(GatewayRules.changing(none).isEmpty && none.nextHop == nil)
        let delta = GatewayNetworkDelta(from: first, to: second, isComplete: false)
        #expect(delta.addedLoadBalancerAddresses.map(\.description) == ["10.243.0.9"])
        #expect(delta.removedLoadBalancerAddresses.isEmpty)
        #expect(delta.addedSecondaryAddresses.map(\.description) == ["10.243.0.10"])
        #expect(delta.removedSecondaryAddresses.map(\.description) == ["10.243.0.8"])
        #expect(delta.nextHop == nil)
        #expect(
            GatewayRules.changing(delta) == """
                delete element ip egress-gateway marks { "wg-6001" : 6001 }
                delete element ip egress-gateway sources { 6001 : 10.243.0.8 }
                delete element ip egress-gateway gateways { 6001 }
                delete element ip egress-gateway permitted { 6001 . 10.243.0.8 }
                add element ip egress-gateway marks { "wg-6002" : 6002 }
                add element ip egress-gateway sources { 6002 : 10.243.0.10 }
                add element ip egress-gateway gateways { 6002 }
                add element ip egress-gateway permitted { 6002 . 10.243.0.10 }

                """)
        let complete = GatewayNetworkDelta(from: first, to: first, isComplete: true)
        #expect(complete.addedSources.count == 2)
        #expect(complete.removedSources.isEmpty && complete.nextHop == IPAddress("10.243.0.5"))
    }
}
