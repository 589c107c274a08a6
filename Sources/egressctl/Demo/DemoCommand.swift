import ArgumentParser
import Foundation
import Lab

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Show a pod leaving with its gateway's fixed address, a failover, and a clean removal (needs root).")

    @OptionGroup var options: LabOptions
    @Flag(help: "Print the report as JSON.") var json = false
    @Flag(help: "Leave the lab up.") var keep = false
    @Option(help: "What carries the packets: wireguard or vxlan. VXLAN neither encrypts nor authenticates.")
    var tunnel = LabPlan.TunnelProvider.wireguard
    @Option(help: "The API server: embedded, real (Kubernetes' own libraries), or 1.20 (kube-apiserver itself).")
    var apiserver = LabPlan.APIServer.embedded

    func run() async throws {
        try requireRoot()
        let layout = try options.layout()
        let runner = DemoRunner(
            layout: layout, plan: LabPlan(tunnel: tunnel, apiServer: apiserver), keepsLab: keep, isQuiet: json)
        let report = await runner.run()
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            Console.say(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            if let error = report.error { Console.say("\nstopped: \(error)") }
            Console.say("\n\(verdict(report, layout))")
        }
        guard report.holds else { throw ExitCode.failure }
    }

    private func verdict(_ report: DemoReport, _ layout: LabLayout) -> String {
        if report.holds { return "all of it held, in \(DemoReport.seconds(report.totalSeconds))" }
        let isUp = LabState.load(layout.stateFile)?.supervisor.isRunning == true
        let rest = "; the lab is kept for a look: logs in \(layout.logDirectory), end it with: egressctl lab down"
        return "NOT all of it held" + (isUp ? rest : "")
    }
}
