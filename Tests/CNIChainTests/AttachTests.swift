import Glibc
import LinuxNet
import ProviderKit
import Testing

@testable import CNIChainProvider

@Suite("A pod's network", .enabled(if: isRoot, needsRoot))
struct AttachTests {
    @Test("before anything, packets leave by eth0; afterwards by the tunnel, with the pod's address")
    func staticEgressGateway() async throws {
        let lab = try await PodLab("static")
        #expect(try await lab.way(to: PodLab.target) == .router(source: PodLab.podAddress))
        let result = await lab.ensure(lab.desired(.staticEgressGateway, exceptions: ["169.254.169.254/32"]))
        #expect(result?.code == .ok && result?.message == nil)
        #expect(
            result?.observed?.routes == [
                .init(destination: "10.244.0.1/32", gateway: nil),
                .init(destination: "0.0.0.0/0", gateway: "fe80::1"),
                .init(destination: "169.254.169.254/32", gateway: "10.244.0.1"),
                .init(destination: "192.0.2.0/24", gateway: "10.244.0.1"),
            ])
        #expect(try await lab.way(to: PodLab.target) == .tunnel(source: PodLab.podAddress))
        #expect(try await lab.way(to: PodLab.excluded) == .router(source: PodLab.podAddress))
        #expect(try await lab.way(to: "10.244.0.1") == .router(source: PodLab.podAddress))
        #expect(try await lab.way(to: PodLab.target6) == .nowhere)

        let state = try lab.fingerprint()
        #expect(state.contains("default via inet6 fe80::1 dev wg0"))
        #expect(state.contains("default via 10.244.0.1 dev eth0 table 8738"))
        #expect(state.contains("10.244.0.1 dev eth0 proto 34 scope link"))
        #expect(state.contains("from all fwmark 0x2222 lookup 8738"))
        #expect(!state.contains("\ndefault via 10.244.0.1 dev eth0 \n"))
        let filters = try await lab.pod.run {
            try ["all", "eth0"].map { try Sysctl.get("net/ipv4/conf/\($0)/rp_filter") }
        }
        #expect(filters == ["2", "2"])
    }

    @Test("a second ensure changes nothing and reports the same")
    func idempotent() async throws {
        for mode in PodNetwork.DefaultRoute.allCases {
            let lab = try await PodLab("twice-\(mode == .azureNetworking ? "a" : "s")")
            let first = await lab.ensure(lab.desired(mode))
            let state = try lab.fingerprint()
            let second = await lab.ensure(lab.desired(mode))
            #expect(first?.code == .ok && first == second)
            #expect(try lab.fingerprint() == state)
            let status = await PodNetworkProbe.capability.status([lab.reference], PodNetworkProbe.context).first
            #expect(status == first)
        }
    }

    @Test("check names what somebody changed, changes nothing, and ensure puts it right")
    func drift() async throws {
        for mode in PodNetwork.DefaultRoute.allCases {
            let lab = try await PodLab("drift-\(mode == .azureNetworking ? "a" : "s")")
            let desired = lab.desired(mode)
            #expect(await lab.check(desired)?.drift == ["the pod is not attached"])
            _ = await lab.ensure(desired)
            let good = await lab.check(desired)
            #expect(good?.code == .ok && good?.drift == nil && good?.observed?.routes.isEmpty == false)
            let own = try #require(good?.observed?.routes.last?.destination)
            let changes = [
                ("ip route del \(own)", "route \(own)"),
                ("ip rule del fwmark 0x2222", "rule "),
                ("nft delete table inet kube-egress-gateway", "nftables table kube-egress-gateway is missing"),
                (
                    "sh -c 'echo 1 >/proc/sys/net/ipv4/conf/eth0/rp_filter'",
                    "sysctl net/ipv4/conf/eth0/rp_filter is not 2"
                ),
            ]
            for (command, difference) in changes {
                try lab.inPod(command)
                let state = try lab.fingerprint()
                let result = await lab.check(desired)
                #expect(result?.code == .conflict, "\(command)")
                #expect(
                    result?.drift?.contains { $0.contains(difference) } == true,
                    "\(command): \(result?.drift ?? [])")
                #expect(try lab.fingerprint() == state, "check changes nothing")
                #expect(await lab.ensure(desired)?.code == .ok)
                #expect(await lab.check(desired)?.code == .ok, "after \(command)")
            }
        }
    }

    @Test("with azureNetworking the excluded destinations use the tunnel, the exceptions are ignored")
    func azureNetworking() async throws {
        let lab = try await PodLab("azure")
        let result = await lab.ensure(lab.desired(.azureNetworking, exceptions: ["198.51.100.0/24"]))
        #expect(result?.code == .ok)
        #expect(result?.observed?.routes == [.init(destination: "192.0.2.0/24", gateway: "fe80::1")])
        #expect(try await lab.way(to: PodLab.target) == .router(source: PodLab.podAddress))
        #expect(try await lab.way(to: PodLab.target6) == .router(source: "2001:db8::20"))
        #expect(try await lab.way(to: PodLab.excluded) == .tunnel(source: PodLab.podAddress))
        #expect(try lab.podRoutes.ensureNoLink(named: "wg0"))
        #expect(try await lab.way(to: PodLab.excluded) == .nowhere)
        #expect(try await lab.way(to: PodLab.target) == .router(source: PodLab.podAddress))
    }

    @Test("connections that come in by eth0 are answered by eth0", arguments: PodNetwork.DefaultRoute.allCases)
    func inbound(mode: PodNetwork.DefaultRoute) async throws {
        let lab = try await PodLab("in-\(mode == .azureNetworking ? "a" : "s")")
        #expect(await lab.ensure(lab.desired(mode))?.code == .ok)
        for source in [PodLab.target, PodLab.excluded, "10.244.0.1"] {
            #expect(try await lab.answersInbound(from: source), "IPv4 from \(source)")
        }
        for source in [PodLab.target, PodLab.excluded] {
            #expect(try await lab.acceptsInbound(from: source), "TCP from \(source)")
        }
        #expect(try await lab.acceptsInbound(from: PodLab.target6, to: "2001:db8::20"))
        #expect(try await lab.acceptsInbound(from: "2001:db8::1", to: "2001:db8::20"))
    }

    @Test("without its tunnel link, or with a route somebody adds, the pod stays closed")
    func closed() async throws {
        let lab = try await PodLab("closed")
        #expect(await lab.ensure(lab.desired(.staticEgressGateway))?.code == .ok)
        #expect(try lab.podRoutes.ensureNoLink(named: "wg0"))
        #expect(try await lab.way(to: PodLab.target) == .nowhere)
        #expect(try await lab.acceptsInbound(from: "10.244.0.1"))
        let eth0 = try lab.podRoutes.requireLink(named: "eth0").index
        for (family, gateway) in [(IPAddress.Family.ipv4, "10.244.0.1"), (.ipv6, "2001:db8::1")] {
            let route = Route(
                to: .all(family), via: try IPAddress(parsing: gateway), linkIndex: eth0, isOnLink: true)
            try lab.podRoutes.replaceRoute(route)
        }
        #expect(try await lab.way(to: PodLab.target) == .nowhere)
        #expect(try await lab.way(to: PodLab.target6) == .nowhere)
        #expect(try await lab.way(to: PodLab.excluded) == .router(source: PodLab.podAddress))

        let status = await PodNetworkProbe.capability.status([lab.reference], PodNetworkProbe.context).first
        #expect(status?.code == .retry)
        #expect(status?.message?.contains("default route through the tunnel missing") == true)
        let again = await lab.ensure(lab.desired(.staticEgressGateway))
        #expect(again?.code == .retry && again?.message?.contains("tunnelLink: link \"wg0\" is not up") == true)
    }

    @Test("an excluded IPv6 destination is reached by eth0")
    func excluded6() async throws {
        let lab = try await PodLab("ex6")
        let desired = lab.desired(.staticEgressGateway, excluded: ["2001:db8:2::/48"])
        #expect(await lab.ensure(desired)?.code == .ok)
        #expect(try await lab.way(to: PodLab.excluded6) == .router(source: "2001:db8::20"))
        #expect(try await lab.way(to: PodLab.target6) == .nowhere)
    }

    @Test("a point-to-point pod, as the ptp plugin makes it, is attached and restored")
    func pointToPoint() async throws {
        let lab = try await PodLab("ptp")
        let name = lab.pod.path.split(separator: "/").last ?? ""
        for command in [
            "route del default", "route del 10.244.0.0/24", "route add 10.244.0.1 dev eth0 scope link src 10.244.0.20",
            "route add 10.244.0.0/24 via 10.244.0.1 dev eth0 src 10.244.0.20", "route add default via 10.244.0.1",
        ] {
            _ = try shell("ip -n \(name) -4 \(command)")
        }
        let ordinary = try lab.fingerprint()
        for _ in 0..<2 {
            #expect(await lab.ensure(lab.desired(.staticEgressGateway))?.code == .ok)
            #expect(try await lab.way(to: PodLab.target) == .tunnel(source: PodLab.podAddress))
            #expect(try await lab.way(to: PodLab.excluded) == .router(source: PodLab.podAddress))
            #expect(try await lab.acceptsInbound(from: PodLab.target))
        }
        #expect(await PodNetworkProbe.capability.remove([lab.reference], PodNetworkProbe.context).first?.code == .ok)
        #expect(try lab.fingerprint() == ordinary)
    }

    @Test("changed exclusions and modes leave no routes of the former ones")
    func changes() async throws {
        let lab = try await PodLab("modes")
        let ordinary = try lab.fingerprint()
        #expect(await lab.ensure(lab.desired(.staticEgressGateway))?.code == .ok)
        let first = try lab.fingerprint()
        #expect(await lab.ensure(lab.desired(.staticEgressGateway, excluded: ["198.51.100.0/24"]))?.code == .ok)
        #expect(try await lab.way(to: PodLab.excluded) == .tunnel(source: PodLab.podAddress))
        #expect(try await lab.way(to: PodLab.target) == .router(source: PodLab.podAddress))
        #expect(await lab.ensure(lab.desired(.azureNetworking))?.code == .ok)
        #expect(try await lab.way(to: PodLab.excluded) == .tunnel(source: PodLab.podAddress))
        #expect(try await lab.way(to: PodLab.target) == .router(source: PodLab.podAddress))
        #expect(await lab.ensure(lab.desired(.staticEgressGateway))?.code == .ok)
        #expect(try lab.fingerprint() == first)

        for _ in 0..<2 {
            let removed = await PodNetworkProbe.capability.remove([lab.reference], PodNetworkProbe.context).first
            #expect(removed?.code == .ok)
            #expect(try lab.fingerprint() == ordinary)
        }
        #expect(try await lab.way(to: PodLab.target) == .router(source: PodLab.podAddress))
        let status = await PodNetworkProbe.capability.status([lab.reference], PodNetworkProbe.context).first
        #expect(status?.code == .ok && status?.observed == nil)
    }
}
