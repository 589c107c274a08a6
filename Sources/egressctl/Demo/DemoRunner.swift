import Foundation
import Kubernetes
import Lab
import LinuxNet
import Logging

/// Runs the demo step by step against the world: kubectl, the internet host, the simulator's and the nodes' state.
struct DemoRunner {
    let layout: LabLayout
    let keepsLab: Bool
    let isQuiet: Bool

    private let plan: LabPlan
    private let clock = ContinuousClock()

    static let namespace = "demo"
    static let gatewayConfiguration = "partner-egress"
    static let annotatedPod = "annotated"
    static let plainPod = "plain"
    /// Started once the gateways serve, to show what attaching costs then.
    static let latePod = "annotated-2"
    private static let annotation = "kubernetes.azure.com/static-gateway-configuration"
    private static let connections = 8

    init(layout: LabLayout, plan: LabPlan, keepsLab: Bool, isQuiet: Bool) {
        self.layout = layout
        self.plan = plan
        self.keepsLab = keepsLab
        self.isQuiet = isQuiet
    }

    /// Never throws: what went wrong is in the report.
    func run() async -> DemoReport {
        let begin = clock.now
        var report = DemoReport()
        do {
            say(
                "1. the lab: two gateway nodes, a worker, an Azure, an internet, on this machine; "
                    + "tunnels by \(plan.tunnel.rawValue)"
                    + (plan.apiServer.title.map { ", objects by \($0)" } ?? ""))
            let outcome = try await LabLauncher(layout: layout, plan: plan).up { if !isQuiet { Console.progress($0) } }
            report.labUpSeconds = seconds(since: begin)
            try await showPods(&report)
            try await showFailover(&report)
            try await showRemoval(&report)
            if !keepsLab, outcome == .started, report.holds {
                say("5. the lab goes down")
                _ = try await LabLauncher(layout: layout, plan: plan).down()
                report.labLeftovers = LabCleanup(layout: layout, prefix: plan.prefix).leftovers
            }
        } catch {
            report.error = "\(error)"
        }
        report.totalSeconds = seconds(since: begin)
        return report
    }

    // MARK: - Steps

    private func showPods(_ report: inout DemoReport) async throws {
        say("2. kubectl apply -f \(layout.demoManifest)")
        let begin = clock.now
        _ = try await Kubectl(layout).run(plan.applyArguments + ["-f", layout.demoManifest])
        async let annotatedStart = watchStart(Self.annotatedPod)
        async let plainStart = watchStart(Self.plainPod)
        let prefix = try await awaitPrefix()
        report.prefix = prefix.description
        report.provisioningSeconds = seconds(since: begin)
        progress("gateway prefix \(prefix) after \(DemoReport.seconds(report.provisioningSeconds))")
        try await addRow(Self.annotatedPod, try await annotatedStart, prefix, &report)
        try await addRow(Self.plainPod, try await plainStart, prefix, &report)
        progress("a second annotated pod, now that the gateways serve")
        _ = try await Kubectl(layout).run([
            "-n", Self.namespace, "run", Self.latePod, "--image=registry.example/client:1",
            "--annotations=\(Self.annotation)=\(Self.gatewayConfiguration)",
        ])
        try await addRow(Self.latePod, try await watchStart(Self.latePod), prefix, &report)
        say(report.podTable)
    }

    private func addRow(
        _ pod: String, _ start: (firstAnswer: Double, attach: Double), _ prefix: IPPrefix, _ report: inout DemoReport
    ) async throws {
        let seen = try await sourcesSeen(pod)
        let isAnnotated = pod != Self.plainPod
        let holds = seen.allSatisfy { text in
            guard let address = IPAddress(text) else { return false }
            return isAnnotated ? prefix.contains(address) : address == LabPlan.ordinaryEgress
        }
        report.pods.append(
            DemoReport.PodRow(
                pod: "\(Self.namespace)/\(pod)", annotation: isAnnotated ? Self.gatewayConfiguration : nil,
                connections: Self.connections, seen: seen,
                expected: isAnnotated ? prefix.description : LabPlan.ordinaryEgress.description,
                firstAnswerSeconds: start.firstAnswer, attachSeconds: start.attach, holds: holds))
    }

    private func showFailover(_ report: inout DemoReport) async throws {
        say("3. the gateway that carries the annotated pod fails")
        let control = LabControlClient(layout)
        let prefix = try IPPrefix(parsing: report.prefix)
        let nodes = Dictionary(
            try await control.status().publicAddresses.map { ($0.address, $0.node) }
        ) { first, _ in first }
        guard let before = report.pods.first?.seen.first, let failing = nodes[before] else {
            throw LabError(
                code: .system, message: "no gateway has the address the annotated pod was seen with",
                advice: "see the table above")
        }
        let begin = clock.now
        try await control.fail(node: failing)
        var strangers: Set<String> = []
        let after = try await BoundedWait.until(
            "the annotated pod to be answered again", within: .seconds(60), every: .milliseconds(100),
            hint: layout.logDirectory
        ) {
            guard let seen = try await source(Self.annotatedPod, timeout: .seconds(1)) else { return String?.none }
            if IPAddress(seen).map(prefix.contains) != true { strangers.insert(seen) }
            return nodes[seen] == failing ? nil : seen
        }
        let failover = DemoReport.Failover(
            pod: "\(Self.namespace)/\(Self.annotatedPod)", failedNode: failing, addressBefore: before,
            addressAfter: after, nodeAfter: nodes[after] ?? "no gateway", seconds: seconds(since: begin),
            strangers: strangers.sorted(), holds: strangers.isEmpty && nodes[after] != nil && after != before)
        report.failover = failover
        say(failover.text)
        progress("\(failing) comes back")
        try await control.restore(node: failing)
        _ = try await BoundedWait.until(
            "\(failing) to be healthy again", within: .seconds(40), every: .milliseconds(200),
            hint: layout.log(of: failing)
        ) {
            let backends = try await control.status().backends
            return !backends.isEmpty && backends.allSatisfy(\.isHealthy) ? true : nil
        }
    }

    private func showRemoval(_ report: inout DemoReport) async throws {
        say("4. the annotated pods and the configuration are deleted")
        let begin = clock.now
        let kubectl = Kubectl(layout)
        _ = try await kubectl.run(["-n", Self.namespace, "delete", "pod", Self.annotatedPod, Self.latePod])
        _ = try await kubectl.run(
            [
                "-n", Self.namespace, "delete", "staticgatewayconfiguration", Self.gatewayConfiguration,
                "--timeout=60s",
            ], timeout: .seconds(70))
        let baseline = try NodeBaseline.load(layout)
        let deadline = clock.now + .seconds(20)
        var (resources, leftovers) = ([""], [""])
        repeat {
            resources = try await LabControlClient(layout).status().managedResources
            leftovers = try await baseline.leftovers(plan)
            if resources.isEmpty && leftovers.isEmpty { break }
            try await Task.sleep(for: .milliseconds(200))
        } while clock.now < deadline
        let elapsed = seconds(since: begin)
        let plain = try await sourcesSeen(Self.plainPod)
        let removal = DemoReport.Removal(
            seconds: elapsed, azureResources: resources, nodeLeftovers: leftovers, plainPodSeen: plain,
            holds: resources.isEmpty && leftovers.isEmpty && plain == [LabPlan.ordinaryEgress.description])
        report.removal = removal
        say(removal.text)
    }

    // MARK: - Looking

    private func awaitPrefix() async throws -> IPPrefix {
        let client = try KubernetesClient(
            configuration: try ClientConfiguration.load(kubeconfig: layout.socketKubeconfig),
            logger: Logger(label: "demo"))
        do {
            let text = try await BoundedWait.until(
                "the status of \(Self.gatewayConfiguration)", within: .seconds(60), every: .milliseconds(100),
                hint: layout.log(of: "manager")
            ) {
                let configuration = try await client.get(
                    StaticGatewayConfiguration.self, namespace: Self.namespace, name: Self.gatewayConfiguration)
                return configuration.status.flatMap { $0.egressIpPrefix.isEmpty ? nil : $0.egressIpPrefix }
            }
            try await client.shutdown()
            return try IPPrefix(parsing: text)
        } catch {
            try? await client.shutdown()
            throw error
        }
    }

    /// Waits for the pod's attachment and then for its first answered request.
    private func watchStart(_ pod: String) async throws -> (firstAnswer: Double, attach: Double) {
        let control = LabControlClient(layout)
        let record = try await BoundedWait.until(
            "pod \(pod) to be attached", within: .seconds(75), every: .milliseconds(20),
            hint: "\(layout.supervisorLog) and kubectl -n \(Self.namespace) describe pod \(pod)"
        ) {
            try await control.status().attachments.first { $0.namespace == Self.namespace && $0.name == pod }
        }
        _ = try await BoundedWait.until(
            "the first answer to pod \(pod)", within: .seconds(30), every: .milliseconds(5), hint: layout.logDirectory
        ) {
            try await source(pod, timeout: .seconds(2))
        }
        return (Date().timeIntervalSince1970 - record.addStarted, record.addSeconds)
    }

    /// The distinct addresses the internet host saw over several connections.
    private func sourcesSeen(_ pod: String) async throws -> [String] {
        var seen: Set<String> = []
        for _ in 0..<Self.connections {
            seen.insert(try await source(pod, timeout: .seconds(5)) ?? "no answer")
        }
        return seen.sorted()
    }

    /// The address the internet host saw a new connection of the pod come from; nil without an answer.
    private func source(_ pod: String, timeout: Duration) async throws -> String? {
        let namespace = try NetworkNamespace(name: plan.namespace(ofPod: pod, in: Self.namespace))
        let answer = try await NamespaceHTTP.get(
            from: namespace, LabPlan.internetAddress, port: LabPlan.internetPort, timeout: timeout)
        return answer.flatMap { $0.status == 200 ? $0.body.trimmingCharacters(in: .whitespacesAndNewlines) : nil }
    }

    private func seconds(since begin: ContinuousClock.Instant) -> Double {
        let parts = (clock.now - begin).components
        return Double(parts.seconds) + Double(parts.attoseconds) / 1e18
    }

    private func say(_ text: String) {
        if !isQuiet { Console.say("\n\(text)") }
    }

    private func progress(_ text: String) {
        if !isQuiet { Console.progress(text) }
    }
}
