import Foundation
import JSONModel
import Kubernetes
import ProviderKit
import Testing

@testable import Host

@Suite("Node: CNI ADD")
struct CNIAddTests {
    @Test("an annotated pod gets link, endpoint and routes, and a result that tells of them")
    func attaches() async throws {
        let bed = await NodeTestbed()
        let response = await bed.handler.respond(
            to: try NodeTestbed.relay("ADD", extra: ["excludedCIDRs": ["169.254.169.254/32", "10.1.0.0/16"]]))
        #expect(response.exitCode == 0, "\(response.output)")
        let tunnel = try #require(bed.tunnel.desired["c1"])
        #expect(tunnel.namespace == "/run/netns/pod" && tunnel.link == "wg0" && tunnel.addresses == ["fe80::2/64"])
        #expect(
            tunnel.pod
                == .init(endpoint: .init(address: "10.243.0.6", port: 6000), gatewayPublicKey: Fixture.key(1)))
        let network = try #require(bed.podNetwork.desired["c1"])
        #expect(network.interface == "eth0" && network.tunnelLink == "wg0" && network.namespace == "/run/netns/pod")
        #expect(network.excludedCIDRs == ["10.244.0.0/16"])
        #expect(network.exceptionCIDRs == ["169.254.169.254/32", "10.1.0.0/16"])
        let endpoint = try #require(await bed.endpoint)
        #expect(
            endpoint.spec
                == .init(
                    staticGatewayConfiguration: "gw-a", podIpAddress: "10.244.0.20/32", podPublicKey: Fixture.key(9)))
        let owner = try #require(endpoint.metadata.ownerReferences.first)
        #expect(owner.kind == "Pod" && owner.uid == "pod-uid-1" && owner.controller == true)
        let result = try NodeTestbed.json(response)
        #expect(
            result["interfaces"]
                == [
                    ["name": "cni0", "mac": "aa:bb:cc:dd:ee:ff"], ["name": "veth1"],
                    ["name": "eth0", "mac": "11:22:33:44:55:66", "sandbox": "/run/netns/pod"],
                    ["name": "wg0", "sandbox": "/run/netns/pod"],
                ])
        guard case .array(let addresses)? = result["ips"] else { return #expect(Bool(false), "no ips") }
        #expect(addresses.last == ["address": "fe80::2/64", "interface": 3])
        #expect(
            result["routes"]
                == [
                    ["dst": "10.244.0.1/32"], ["dst": "0.0.0.0/0", "gw": "fe80::1"],
                    ["dst": "10.244.0.0/16", "gw": "10.244.0.1"],
                ])
        #expect(result["dns"] == ["nameservers": ["10.0.0.10"]] && result["vendor"] == ["kept": true])
    }

    @Test("a static pod is known by the UID that kubelet gave it, not by that of its picture in the API")
    func staticPod() async throws {
        let bed = await NodeTestbed()
        await bed.api.add(
            NodeTestbed.pod(annotations: [
                CNIRequestHandler.annotation: "gw-a", "kubernetes.io/config.mirror": "hash-1",
            ]))
        #expect(await bed.handler.respond(to: try NodeTestbed.relay("ADD", uid: "pod-uid-1")).exitCode != 0)
        #expect(bed.tunnel.desired.isEmpty)
        let response = await bed.handler.respond(to: try NodeTestbed.relay("ADD", uid: "hash-1"))
        #expect(response.exitCode == 0, "\(response.output)")
        #expect(bed.tunnel.desired["c1"] != nil)
    }

    @Test("a pod without the annotation gets the previous result, unchanged, and nothing is touched")
    func unselected() async throws {
        let bed = await NodeTestbed()
        await bed.api.add(NodeTestbed.pod(annotations: ["other": "x"]))
        let response = await bed.handler.respond(to: try NodeTestbed.relay("ADD"))
        #expect(response.exitCode == 0)
        #expect(try NodeTestbed.json(response) == NodeTestbed.previousResult)
        #expect(bed.tunnel.calls.isEmpty && bed.podNetwork.calls.isEmpty)
        #expect(await bed.endpoint == nil)
    }

    @Test("a known pod without the annotation starts while the API is down; an unknown or another one does not")
    func startsWithoutAPI() async throws {
        let bed = await NodeTestbed()
        await bed.api.add(NodeTestbed.pod(annotations: ["other": "x"]))
        await bed.api.setDown(true)
        let early = await bed.handler.respond(to: try NodeTestbed.relay("ADD"))
        #expect(try NodeTestbed.json(early)["code"] == 11, "nothing was told yet")
        await bed.api.tellPods()
        let response = await bed.handler.respond(to: try NodeTestbed.relay("ADD"))
        #expect(try response.exitCode == 0 && NodeTestbed.json(response) == NodeTestbed.previousResult)
        for uid in ["pod-uid-2", nil] {
            let other = await bed.handler.respond(to: try NodeTestbed.relay("ADD", uid: uid))
            #expect(try NodeTestbed.json(other)["code"] == 11, "\(uid ?? "no uid")")
        }
        #expect(bed.tunnel.calls.isEmpty && bed.podNetwork.calls.isEmpty)
    }

    @Test("a pod that was made again under its name is read, whatever is known of the earlier one")
    func madeAgain() async throws {
        let bed = await NodeTestbed()
        await bed.api.add(NodeTestbed.pod(annotations: [:]))
        await bed.api.tellPods()
        await bed.api.add(NodeTestbed.pod(uid: "pod-uid-2"))
        let response = await bed.handler.respond(to: try NodeTestbed.relay("ADD", uid: "pod-uid-2"))
        #expect(response.exitCode == 0)
        #expect(await bed.endpoint?.spec.staticGatewayConfiguration == "gw-a")
    }

    @Test("a pod with the annotation gets the gateway that is named now")
    func annotationIsRead() async throws {
        let bed = await NodeTestbed()
        await bed.api.tellPods()
        await bed.api.add(Fixture.configuration("gw-b"))
        await bed.api.add(NodeTestbed.pod(annotations: [CNIRequestHandler.annotation: "gw-b"]))
        let response = await bed.handler.respond(to: try NodeTestbed.relay("ADD"))
        #expect(response.exitCode == 0)
        #expect(await bed.endpoint?.spec.staticGatewayConfiguration == "gw-b")
    }

    @Test("older results get the address's version; azureNetworking keeps the pod's routes")
    func variants() async throws {
        let bed = await NodeTestbed()
        var configuration = Fixture.configuration("gw-a")
        configuration.spec.defaultRoute = .azureNetworking
        await bed.api.add(configuration)
        let old = await bed.handler.respond(to: try NodeTestbed.relay("ADD", version: "0.3.1"))
        let result = try NodeTestbed.json(old)
        guard case .array(let addresses)? = result["ips"], case .array(let routes)? = result["routes"] else {
            return #expect(Bool(false), "\(old.output)")
        }
        #expect(addresses.last?["version"] == "6")
        #expect(routes.first == ["dst": "0.0.0.0/0"] && routes.count == 4)
    }

    @Test(
        "what is missing is named, told to the pod's owner, and leaves nothing behind",
        arguments: [
            ("absent", "does not exist"), ("", "is empty"), ("gw-new", "is not ready"), ("gw-old", "is being deleted"),
            ("gw-odd", "excludeCidrs[1]"),
        ])
    func refuses(gateway: String, reason: String) async throws {
        let bed = await NodeTestbed()
        var new = Fixture.configuration("gw-new")
        new.status?.egressIpPrefix = ""
        new.status?.gatewayServerProfile.publicKey = ""
        var old = Fixture.configuration("gw-old")
        old.metadata.deletionTimestamp = Timestamp(Date())
        var odd = Fixture.configuration("gw-odd")
        odd.spec.excludeCidrs = ["10.0.0.0/8", "10.0.0.0/33"]
        for configuration in [new, old, odd] { await bed.api.add(configuration) }
        await bed.api.add(NodeTestbed.pod(annotations: [CNIRequestHandler.annotation: gateway]))
        let response = await bed.handler.respond(to: try NodeTestbed.relay("ADD"))
        #expect(response.exitCode == 1)
        let object = try NodeTestbed.json(response)
        #expect(object["msg"]?.text?.contains(reason) == true, "\(response.output)")
        #expect(object["cniVersion"] == "1.0.0")
        if gateway == "gw-new" {
            #expect(
                object["details"]
                    == "still empty: status.egressIpPrefix, status.gatewayServerProfile.publicKey")
        }
        let warnings = await bed.api.warnings
        #expect(warnings.count == 1 && warnings.first?.contains(reason) == true)
        #expect(bed.tunnel.calls.isEmpty && bed.podNetwork.calls.isEmpty)
        #expect(await bed.endpoint == nil)
    }

    @Test("a step that fails undoes the steps before it", arguments: ["tunnel", "routes", "api"])
    func undoes(step: String) async throws {
        let bed = await NodeTestbed()
        let fault = ProviderError(.retry, "the kernel is busy")
        if step == "tunnel" { bed.tunnel.fail(with: fault) }
        if step == "routes" { bed.podNetwork.fail(with: fault) }
        if step == "api" {
            await bed.api.setDown(true)
        }
        let response = await bed.handler.respond(to: try NodeTestbed.relay("ADD"))
        #expect(response.exitCode == 1)
        #expect(try NodeTestbed.json(response)["code"] == 11)
        #expect(bed.tunnel.desired.isEmpty && bed.podNetwork.desired.isEmpty)
        #expect(await bed.endpoint == nil)
        if step == "routes" {
            #expect(bed.tunnel.calls == ["ensure c1", "remove c1"])
            // The pod stays closed until its namespace goes.
            #expect(bed.podNetwork.calls == ["ensure c1"])
        }
    }

    @Test("the endpoint of an earlier attachment is replaced, that of a replaced pod is not taken for this one")
    func replaces() async throws {
        let bed = await NodeTestbed()
        _ = await bed.handler.respond(to: try NodeTestbed.relay("ADD", container: "c1"))
        let first = try #require(await bed.endpoint)
        let response = await bed.handler.respond(to: try NodeTestbed.relay("ADD", container: "c2"))
        #expect(response.exitCode == 0)
        let second = try #require(await bed.endpoint)
        #expect(second.metadata.uid == first.metadata.uid)
        #expect(second.metadata.annotations[CNIRequestHandler.containerAnnotation] == "c2")
        let stale = await bed.handler.respond(to: try NodeTestbed.relay("ADD", container: "c3", uid: "pod-uid-0"))
        #expect(stale.exitCode == 1)
        #expect(await bed.endpoint == second)
    }

    @Test("ADD answers once the gateways list the peer, and waits for a silent one only once")
    func waits() async throws {
        let bed = await NodeTestbed(gatewayWaitSeconds: 4)
        let serving = [ReadyGatewayConfiguration(staticGatewayConfiguration: "team-a/gw-a", interfaceName: "wg-6000")]
        let peer = ReadyPeerConfiguration(
            podEndpoint: "team-a/web-0", interfaceName: "wg-6000", publicKey: Fixture.key(9))
        func status(_ name: String, _ peers: [ReadyPeerConfiguration]) -> GatewayStatus {
            GatewayStatus(
                metadata: ObjectMeta(name: name),
                spec: .init(readyGatewayConfigurations: serving, readyPeerConfigurations: peers))
        }
        await bed.api.setStatuses([status("gateway-1", [])])
        let ready = status("gateway-1", [peer])
        await bed.api.onStatusRead { api, count in if count == 3 { await api.setStatuses([ready]) } }
        let clock = ContinuousClock()
        let first = await clock.measure { _ = await bed.handler.respond(to: (try? NodeTestbed.relay("ADD")) ?? .empty) }
        #expect(await bed.api.statusReads == 3)
        #expect(first < .seconds(3))
        await bed.api.setStatuses([ready, status("gateway-2", [])])
        let second = await clock.measure {
            _ = await bed.handler.respond(to: (try? NodeTestbed.relay("ADD")) ?? .empty)
        }
        let third = await clock.measure { _ = await bed.handler.respond(to: (try? NodeTestbed.relay("ADD")) ?? .empty) }
        #expect(second >= .seconds(4) && third < .seconds(3))
    }
}

extension RelayRequest {
    static let empty = RelayRequest(version: 1, environment: [:], configuration: "{}")
}
