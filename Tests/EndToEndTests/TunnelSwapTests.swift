import Glibc
import Lab
import LinuxNet
import Testing

/// Changing the tunnel under pods that run.
@Suite(.serialized, .enabled(if: EndToEndLab.isPossible, "needs root and an install tree (make build)"), .lab)
struct TunnelSwapTests {
    private static let namespace = "demo"
    /// From the command to the first answer over the new tunnel: the daemons' restart, and the gateways' probes.
    private static let limit = Duration.seconds(30)

    @Test(.timeLimit(.minutes(4)))
    func noPacketOfAPodThatRunsCarriesAnotherSourceWhileItsTunnelChangesAndBack() async throws {
        let capture = try await EdgeCapture(
            in: try NetworkNamespace(name: EndToEndLab.plan.internetNamespace), server: EndToEndLab.internet,
            port: EndToEndLab.port)
        _ = try await EndToEndLab.kubectl(["apply", "-f", try EndToEndLab.layout().demoManifest])
        let pod = try await EndToEndLab.awaitPod(Self.namespace, "annotated")
        let traffic = PodTraffic(
            namespace: pod, path: "annotated", server: EndToEndLab.internet, port: EndToEndLab.port,
            timeout: .seconds(1))
        let prefix = try IPPrefix(
            parsing: try await EndToEndLab.kubectl([
                "-n", Self.namespace, "get", "staticgatewayconfiguration", "partner-egress", "-o",
                "jsonpath={.status.egressIpPrefix}",
            ]))
        try await awaitAnswers(traffic, after: ContinuousClock().now)
        var kinds = [try await kind(in: pod)]
        var keys = [try await publishedKey()]
        for tunnel in ["vxlan", "wireguard"] {
            let change = try await EndToEndLab.control(["lab", "tunnel", tunnel])
            try #require(change.status.isSuccess, "\(change.errorText)")
            let before = try #require(kinds.last)
            kinds.append(
                try await EndToEndLab.wait("a link of another kind", within: Self.limit) {
                    let now = try await kind(in: pod)
                    return now == before || now.isEmpty ? nil : now
                })
            try await awaitAnswers(traffic, after: ContinuousClock().now)
            keys.append(try await publishedKey())
        }
        #expect(kinds[1] == "vxlan" && kinds[0] == kinds[2] && kinds[0] != "vxlan", "\(kinds)")
        #expect(Set(keys).count == 3, "the gateways were told each new end")
        await traffic.stop()
        await capture.stop()
        let answered = traffic.all.filter { $0.seen != nil }.count
        #expect(capture.packets.filter { $0.path != nil }.count >= answered, "the capture saw every request")
        let strangers = Set(capture.packets.filter { !prefix.contains($0.source) }.map(\.flow))
        #expect(strangers.isEmpty, "the pod left with another address: \(strangers)")
        try await deleteEverything()
    }

    private func deleteEverything() async throws {
        _ = try await EndToEndLab.kubectl(["-n", Self.namespace, "delete", "pod", "annotated"])
        _ = try await EndToEndLab.kubectl([
            "-n", Self.namespace, "delete", "staticgatewayconfiguration", "partner-egress", "--timeout=60s",
        ])
        let baseline = try NodeBaseline.load(try EndToEndLab.layout())
        let left = try await EndToEndLab.wait("the nodes to be clean", within: .seconds(20)) {
            let left = try await baseline.leftovers(EndToEndLab.plan)
            return left.isEmpty ? left : nil
        }
        #expect(left == [])
    }

    /// Ten answers in a row, so that it is no single lucky one.
    private func awaitAnswers(_ traffic: PodTraffic, after moment: ContinuousClock.Instant) async throws {
        _ = try await EndToEndLab.wait("answers to the pod", within: Self.limit) {
            let last = traffic.all.filter { $0.moment > moment }.suffix(10)
            return last.count == 10 && last.allSatisfy { $0.seen != nil } ? true : nil
        }
    }

    /// Kind of the pod's tunnel link; empty while there is none.
    private func kind(in pod: NetworkNamespace) async throws -> String {
        try await pod.run { try RouteSocket().link(named: "wg0")?.kind ?? "" }
    }

    private func publishedKey() async throws -> String {
        try await EndToEndLab.kubectl([
            "-n", Self.namespace, "get", "podendpoint", "annotated", "-o", "jsonpath={.spec.podPublicKey}",
        ])
    }
}
