import Foundation
import JSONModel
import Kubernetes
import LinuxNet
import ProviderKit
import Testing

@testable import Host

@Suite("Node: CNI DEL, CHECK, GC, STATUS")
struct CNIOtherCommandsTests {
    private func attached() async throws -> NodeTestbed {
        let bed = await NodeTestbed()
        let response = await bed.handler.respond(to: try NodeTestbed.relay("ADD"))
        try #require(response.exitCode == 0)
        return bed
    }

    @Test("DEL removes link and endpoint, and may be repeated")
    func removes() async throws {
        let bed = try await attached()
        for _ in 0..<2 {
            let response = await bed.handler.respond(to: try NodeTestbed.relay("DEL"))
            #expect(response == RelayResponse(exitCode: 0, output: ""))
            #expect(bed.tunnel.desired.isEmpty)
            #expect(await bed.endpoint == nil)
        }
    }

    @Test("a late DEL of an older attachment leaves the newer one's endpoint")
    func staleRemoval() async throws {
        let bed = try await attached()
        _ = await bed.handler.respond(to: try NodeTestbed.relay("ADD", container: "c2"))
        _ = await bed.handler.respond(to: try NodeTestbed.relay("DEL", container: "c1"))
        #expect(await bed.endpoint?.metadata.annotations[CNIRequestHandler.containerAnnotation] == "c2")
        #expect(bed.tunnel.desired.keys.sorted() == ["c2"])
    }

    @Test("DEL removes an endpoint that somebody touches meanwhile, within bounds")
    func removalOfATouchedEndpoint() async throws {
        let bed = try await attached()
        await bed.api.touchAfterReads(3)
        _ = await bed.handler.respond(to: try NodeTestbed.relay("DEL"))
        #expect(await bed.endpoint == nil)
        let busy = try await attached()
        await busy.api.touchAfterReads(1000)
        let response = await busy.handler.respond(to: try NodeTestbed.relay("DEL"))
        #expect(response == RelayResponse(exitCode: 0, output: ""))
    }

    @Test("after a restart the tunnels of this node's pods are asked about, and only they")
    func recallsTunnels() async throws {
        let bed = try await attached()
        let annotations = try #require(await bed.endpoint?.metadata.annotations)
        #expect(annotations[CNIRequestHandler.namespaceAnnotation] == "/run/netns/pod")
        let others: [(name: String, node: String, container: String, path: String)] = [
            ("far", "worker-2", "c5", "/run/netns/far"), ("odd", "worker-1", "c6", "/tmp/pipe"),
            ("up", "worker-1", "c7", "/run/netns/../pipe"), ("gone", "worker-1", "c8", "/var/run/netns/gone"),
            ("twin", "worker-1", "c8", "/var/run/netns/gone"),
        ]
        for other in others {
            _ = try await bed.api.create(
                PodEndpoint(
                    metadata: ObjectMeta(
                        name: other.name, namespace: "team-a",
                        annotations: [
                            CNIRequestHandler.containerAnnotation: other.container,
                            CNIRequestHandler.nodeAnnotation: other.node,
                            CNIRequestHandler.namespaceAnnotation: other.path,
                        ]), spec: .init()))
        }
        #expect(try await bed.handler.recallTunnelsOnce() == 1)
        #expect(bed.tunnel.calls == ["ensure c1"], "a namespace that is not there has no pod")
        let asked = bed.tunnel.askedFor.sorted { $0.id < $1.id }
        #expect(
            asked == [
                Tunnel.Reference(id: "c1", namespace: "/run/netns/pod", link: "wg0"),
                Tunnel.Reference(id: "c8", namespace: "/var/run/netns/gone", link: "wg0"),
            ])
    }

    @Test(
        "after a restart a tunnel that is gone, or another provider's, is made anew with what ADD knew",
        .enabled(if: geteuid() == 0, "makes a network namespace: needs root"))
    func reattaches() async throws {
        let namespace = try NetworkNamespace(name: "kegwt-host-\(getpid())")
        try namespace.create()
        defer { _ = try? namespace.delete() }
        let bed = await NodeTestbed()
        let annotations = [
            CNIRequestHandler.containerAnnotation: "c9", CNIRequestHandler.nodeAnnotation: "worker-1",
            CNIRequestHandler.namespaceAnnotation: namespace.path, CNIRequestHandler.interfaceAnnotation: "net1",
            CNIRequestHandler.exceptionsAnnotation: "10.0.0.0/8,172.16.0.0/12",
        ]
        _ = try await bed.api.create(
            PodEndpoint(
                metadata: ObjectMeta(name: "web-0", namespace: "team-a", annotations: annotations),
                spec: .init(staticGatewayConfiguration: "gw-a", podIpAddress: "10.244.0.20/32", podPublicKey: "old")))
        bed.podNetwork.fail(with: ProviderError(.retry, "not now"))
        await #expect(throws: ProviderError.self) { try await bed.handler.recallTunnelsOnce() }
        #expect(await bed.endpoint?.spec.podPublicKey == "old", "a next life finds it unfinished")
        bed.podNetwork.fail(with: nil)
        #expect(try await bed.handler.recallTunnelsOnce() == 1)
        #expect(await bed.endpoint?.spec.podPublicKey == Fixture.key(9))
        #expect(bed.tunnel.desired["c9"]?.namespace == namespace.path)
        let network = try #require(bed.podNetwork.desired["c9"])
        #expect(network.interface == "net1" && network.exceptionCIDRs == ["10.0.0.0/8", "172.16.0.0/12"])
        bed.tunnel.forgetCalls()
        #expect(try await bed.handler.recallTunnelsOnce() == 1)
        #expect(bed.tunnel.calls.isEmpty, "what stands is left alone")
    }

    @Test("an endpoint that upstream made is removed for its own pod only")
    func upstreamEndpoint() async throws {
        let bed = await NodeTestbed()
        let upstream = PodEndpoint(
            metadata: ObjectMeta(
                name: "web-0", namespace: "team-a", ownerReferences: [NodeTestbed.pod().ownerReference()]),
            spec: .init(staticGatewayConfiguration: "gw-a", podIpAddress: "10.244.0.20/32", podPublicKey: "x"))
        _ = try await bed.api.create(upstream)
        _ = await bed.handler.respond(to: try NodeTestbed.relay("DEL", uid: "pod-uid-0"))
        _ = await bed.handler.respond(to: try NodeTestbed.relay("DEL", uid: nil))
        #expect(await bed.endpoint != nil)
        _ = await bed.handler.respond(to: try NodeTestbed.relay("DEL"))
        #expect(await bed.endpoint == nil)
    }

    @Test("DEL succeeds whatever is wrong", arguments: ["api", "input", "namespace"])
    func removalNeverFails(fault: String) async throws {
        let bed = try await attached()
        var relay = try NodeTestbed.relay("DEL")
        if fault == "api" { await bed.api.setDown(true) }
        if fault == "input" { relay.configuration = "nonsense" }
        if fault == "namespace" { relay.environment["CNI_NETNS"] = "" }
        #expect(await bed.handler.respond(to: relay) == RelayResponse(exitCode: 0, output: ""))
    }

    @Test("CHECK passes for what ADD left, and names what is not so any more")
    func checks() async throws {
        let bed = try await attached()
        let check = try NodeTestbed.relay("CHECK")
        #expect(await bed.handler.respond(to: check) == RelayResponse(exitCode: 0, output: ""))
        bed.podNetwork.lose("c1")
        try await expectBroken(bed, check, "routes")
        _ = await bed.handler.respond(to: try NodeTestbed.relay("ADD"))
        var moved = NodeTestbed.previousResult
        if case .object(var members) = moved {
            members["ips"] = [["address": "10.244.0.99/24"]]
            moved = .object(members)
        }
        try await expectBroken(bed, try NodeTestbed.relay("CHECK", previous: moved), "podIpAddress 10.244.0.20/32")
        bed.tunnel.lose("c1")
        try await expectBroken(bed, check, "link wg0")
        _ = await bed.handler.respond(to: try NodeTestbed.relay("ADD"))
        if let endpoint = await bed.endpoint { try await bed.api.delete(endpoint) }
        try await expectBroken(bed, check, "PodEndpoint team-a/web-0 does not exist")
    }

    private func expectBroken(_ bed: NodeTestbed, _ relay: RelayRequest, _ text: String) async throws {
        let response = await bed.handler.respond(to: relay)
        #expect(response.exitCode == 1)
        let object = try NodeTestbed.json(response)
        #expect(object["code"] == 100)
        #expect(object["msg"]?.text?.contains(text) == true, "\(response.output)")
    }

    @Test("GC removes this node's endpoints of attachments that the runtime does not know, no others")
    func collectsGarbage() async throws {
        let bed = try await attached()
        for (name, node, container) in [("lost", "worker-1", "gone"), ("far", "worker-2", "gone")] {
            _ = try await bed.api.create(
                PodEndpoint(
                    metadata: ObjectMeta(
                        name: name, namespace: "team-a",
                        annotations: [
                            CNIRequestHandler.containerAnnotation: container, CNIRequestHandler.nodeAnnotation: node,
                        ]), spec: .init()))
        }
        let silent = await bed.handler.respond(to: try NodeTestbed.relay("GC", arguments: ""))
        #expect(silent.exitCode == 0)
        #expect(await bed.api.stored.count == 3)
        let valid: JSONValue = [["containerID": "c1", "ifname": "eth0"]]
        let response = await bed.handler.respond(
            to: try NodeTestbed.relay("GC", extra: ["cni.dev/valid-attachments": valid], arguments: ""))
        #expect(response == RelayResponse(exitCode: 0, output: ""))
        #expect(await bed.api.stored.keys.sorted() == ["team-a/far", "team-a/web-0"])
    }

    @Test("STATUS says whether ADD could succeed")
    func status() async throws {
        let bed = await NodeTestbed()
        #expect(await bed.handler.respond(to: try NodeTestbed.relay("STATUS")).exitCode == 0)
        await bed.api.setDown(true)
        let response = await bed.handler.respond(to: try NodeTestbed.relay("STATUS"))
        #expect(try NodeTestbed.json(response)["code"] == 50)
        // Pods that are known start without the API, so the runtime must not be told to start none.
        await bed.api.tellPods()
        #expect(await bed.handler.respond(to: try NodeTestbed.relay("STATUS")).exitCode == 0)
    }

    @Test(
        "bad input is refused by name",
        arguments: [
            ("CNI_COMMAND", 4), ("CNI_NETNS", 4), ("K8S_POD_NAME", 4), ("prevResult", 7), ("excludedCIDRs", 7),
            ("ips", 7), ("JSON", 6), ("cniVersion", 1),
        ])
    func badInput(field: String, code: Int64) async throws {
        let bed = await NodeTestbed()
        var relay = try NodeTestbed.relay("ADD")
        switch field {
        case "CNI_COMMAND": relay.environment[field] = "EXPLODE"
        case "CNI_NETNS": relay.environment[field] = nil
        case "K8S_POD_NAME": relay.environment["CNI_ARGS"] = "K8S_POD_NAMESPACE=team-a"
        case "prevResult": relay = try NodeTestbed.relay("ADD", previous: nil)
        case "excludedCIDRs": relay = try NodeTestbed.relay("ADD", extra: ["excludedCIDRs": "10.0.0.0/8"])
        case "ips":
            relay = try NodeTestbed.relay("ADD", previous: ["cniVersion": "1.0.0", "ips": [["address": "fd00::1/64"]]])
        case "cniVersion": relay = try NodeTestbed.relay("ADD", version: "0.2.0")
        default: relay.configuration = "{"
        }
        let response = await bed.handler.respond(to: relay)
        #expect(response.exitCode == 1)
        let object = try NodeTestbed.json(response)
        #expect(object["code"] == .integer(code), "\(response.output)")
        #expect(object["msg"]?.text?.contains(field) == true, "\(response.output)")
        #expect(bed.tunnel.desired.isEmpty)
    }
}
