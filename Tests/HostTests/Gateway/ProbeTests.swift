import AsyncHTTPClient
import Foundation
import Kubernetes
import LinuxNet
import NIOCore
import NIOHTTP1
import Testing

@testable import Host

@Suite("Gateway: health probe")
struct ProbeTests {
    @Test(
        "paths are answered as upstream does",
        arguments: [
            ("/gw/uid-1", 200), ("/gw/uid-1?x=1", 200), ("/gw/uid-2", 503), ("/gw/", 503), ("/gw/uid-1/more", 400),
            ("/gw", 404), ("/", 404), ("/healthz", 404),
        ])
    func paths(path: String, status: UInt) {
        let state = ProbeState()
        state.setActive(["uid-1"])
        #expect(state.answer(path).code == status)
    }

    @Test("a client sees 200 while a gateway stands, 503 when it goes and while draining")
    func server() async throws {
        let state = ProbeState()
        let server = try await ProbeServer.start(port: 0, state: state)
        func status(_ path: String) async throws -> UInt {
            var request = HTTPClientRequest(url: "http://127.0.0.1:\(server.port)\(path)")
            request.headers.add(name: "Connection", value: "close")
            return try await HTTPClient.shared.execute(request, timeout: .seconds(2)).status.code
        }
        #expect(try await status("/gw/uid-1") == 503)
        state.setActive(["uid-1"])
        #expect(try await status("/gw/uid-1") == 200)
        state.drain()
        #expect(try await status("/gw/uid-1") == 503)
        await server.stop()
        await #expect(throws: (any Error).self) { try await status("/gw/uid-1") }
    }

    @Test("a port that is taken is an error that names it")
    func taken() async throws {
        let server = try await ProbeServer.start(port: 0, state: ProbeState())
        let error = await #expect(throws: HostError.self) {
            try await ProbeServer.start(port: server.port, state: ProbeState())
        }
        #expect(error?.message.contains(String(server.port)) == true)
        await server.stop()
    }
}

@Suite("Gateway: keys and status")
struct GatewayKeysTests {
    private static let secret = Secret(
        metadata: ObjectMeta(name: "sgw-uid-gw-a", namespace: "kube-egress-gateway-system"),
        data: ["PrivateKey": Data(Fixture.key(5).utf8)])

    @Test("a key is read once, and again when the gateway's public key changes")
    func readOnce() async throws {
        let reads = Counter()
        let keys = GatewayKeys(namespace: "kube-egress-gateway-system") { _, _ in
            await reads.add()
            return Self.secret
        }
        var plan = GatewayDataPathTests.planA()
        for _ in 0..<3 { #expect(await keys.load(plan.servers).keys == ["uid-gw-a": Fixture.key(5)]) }
        #expect(await reads.value == 1)
        plan.servers[0].publicKey = Fixture.key(8)
        _ = await keys.load(plan.servers)
        #expect(await reads.value == 2)
        #expect(await keys.load([]).keys.isEmpty)
    }

    @Test(
        "a Secret elsewhere, without the field or with nonsense is refused by name",
        arguments: ["place", "field", "value"])
    func refused(fault: String) async throws {
        let keys = GatewayKeys(namespace: fault == "place" ? "other" : "kube-egress-gateway-system") { _, _ in
            var secret = Self.secret
            secret.data = fault == "field" ? [:] : ["PrivateKey": Data("short".utf8)]
            return secret
        }
        let (loaded, failures) = await keys.load(GatewayDataPathTests.planA().servers)
        #expect(loaded.isEmpty)
        let expected = [
            "place": "privateKeySecretRef.namespace", "field": "PrivateKey is missing", "value": "32 bytes",
        ]
        #expect(failures["uid-gw-a"]?.contains(expected[fault] ?? "?") == true)
    }

    @Test("the status lists what stands, in a stable order")
    func status() {
        let spec = GatewayStatusWriter.spec(GatewayDataPathTests.planAB(), ready: ["uid-gw-b"])
        #expect(
            spec
                == GatewayStatusSpec(
                    readyGatewayConfigurations: [
                        .init(staticGatewayConfiguration: "team-a/gw-b", interfaceName: "wg-6001")
                    ],
                    readyPeerConfigurations: [
                        .init(podEndpoint: "team-a/web-b", interfaceName: "wg-6001", publicKey: Fixture.key(3))
                    ]))
    }
}

private actor Counter {
    private(set) var value = 0
    func add() { value += 1 }
}
