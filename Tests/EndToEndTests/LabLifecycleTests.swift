import Foundation
import Glibc
import Lab
import LinuxNet
import Testing

/// Starting and ending a lab, in good order and not.
@Suite(.serialized, .enabled(if: EndToEndLab.isPossible, "needs root and an install tree (make build)"))
struct LabLifecycleTests {
    @Test(.timeLimit(.minutes(2)))
    func aKilledSupervisorIsCleanedUpAndALabCanStartOverIt() async throws {
        let layout = try EndToEndLab.layout()
        let cleanup = LabCleanup(layout: layout, prefix: EndToEndLab.plan.prefix)
        for _ in 0..<2 {
            let start = try await EndToEndLab.control(["lab", "up"])
            try #require(start.status.isSuccess, "lab up: \(start.errorText)")
            let plugins = try await ChildProcess.run(
                ChildCommand(
                    layout.controlProgram, ["plugins", "list", "--config", "\(layout.stateDirectory)/manager.yaml"]),
                timeout: .seconds(30))
            #expect(plugins.outputText.contains("healthy ("), "\(plugins.outputText)\(plugins.errorText)")
            #expect(plugins.outputText.contains("digest ok"))
            let state = try #require(LabState.load(layout.stateFile))
            #expect(kill(state.supervisor.pid, SIGKILL) == 0)
        }
        #expect(!cleanup.leftovers.isEmpty)
        let end = try await EndToEndLab.control(["lab", "down"])
        #expect(end.status.isSuccess, "lab down: \(end.errorText)")
        #expect(cleanup.leftovers.isEmpty)
        let again = try await EndToEndLab.control(["lab", "down"])
        #expect(again.outputText == "no lab was up\n")
        let exec = try await EndToEndLab.control(["lab", "exec", "pod"], command: ["true"])
        #expect(exec.errorText.contains("no lab is up"))
    }

    @Test(.timeLimit(.minutes(3)), arguments: LabPlan.TunnelProvider.allCases)
    func theDemoHoldsAndSaysSoAsData(tunnel: LabPlan.TunnelProvider) async throws {
        let output = try await EndToEndLab.control(["demo", "--json", "--tunnel", tunnel.rawValue])
        #expect(output.status.isSuccess, "demo: \(output.outputText)")
        let report = try JSONDecoder().decode(Report.self, from: Data(output.standardOutput))
        #expect(report.error == nil)
        #expect(report.pods.map(\.pod) == ["demo/annotated", "demo/plain", "demo/annotated-2"])
        #expect(report.pods.first { $0.pod == "demo/plain" }?.seen == [LabPlan.ordinaryEgress.description])
        #expect(report.failover.addressBefore != report.failover.addressAfter)
        #expect(report.removal.azureResources == [] && report.removal.nodeLeftovers == [])
        #expect(report.labLeftovers == [])
        #expect(report.totalSeconds < 90)
    }

    @Test func aDirectoryThatIsNoLabsIsLeftAlone() async throws {
        let layout = try EndToEndLab.layout()
        try FileManager.default.createDirectory(atPath: layout.stateDirectory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: layout.stateDirectory) }
        let file = "\(layout.stateDirectory)/precious"
        try Data("text".utf8).write(to: URL(filePath: file))
        let start = try await EndToEndLab.control(["lab", "up"])
        #expect(start.status == .exited(1))
        #expect(start.errorText.contains("holds other files"))
        _ = try await EndToEndLab.control(["lab", "down"])
        #expect(FileManager.default.fileExists(atPath: file))
    }

    /// What the test reads of the report.
    private struct Report: Decodable {
        struct Row: Decodable {
            var pod: String
            var seen: [String]
        }
        struct Failover: Decodable {
            var addressBefore: String
            var addressAfter: String
        }
        struct Removal: Decodable {
            var azureResources: [String]
            var nodeLeftovers: [String]
        }
        var error: String?
        var pods: [Row]
        var failover: Failover
        var removal: Removal
        var labLeftovers: [String]?
        var totalSeconds: Double
    }
}
