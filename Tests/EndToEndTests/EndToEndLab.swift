import Foundation
import Glibc
import Lab
import LinuxNet
import Testing

/// The lab under test, driven through the installed `egressctl` as a person drives it.
enum EndToEndLab {
    static let plan = LabPlan()
    static let internet = LabPlan.internetAddress
    static let port = LabPlan.internetPort

    /// `EGRESS_INSTALL_TREE`, or `build` in the repository.
    static let installTree: String = {
        if let path = ProcessInfo.processInfo.environment["EGRESS_INSTALL_TREE"] { return path }
        return URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "build").path
    }()

    static let isPossible =
        geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "\(installTree)/bin/egressctl")

    static func layout() throws -> LabLayout {
        try LabLayout(installTree: installTree, stateDirectory: "/tmp/kegw-e2e-\(getpid())")
    }

    /// Runs `egressctl` with the state directory of the test.
    static func control(_ arguments: [String], command: [String] = []) async throws -> ChildOutput {
        let layout = try layout()
        let tail = command.isEmpty ? [] : ["--"] + command
        return try await ChildProcess.run(
            ChildCommand(layout.controlProgram, arguments + ["--state-dir", layout.stateDirectory] + tail),
            timeout: .seconds(120))
    }

    static func kubectl(_ arguments: [String], timeout: Duration = .seconds(90)) async throws -> String {
        try await Kubectl(try layout()).run(arguments, timeout: timeout)
    }

    /// Applies a manifest given as text.
    static func apply(_ manifest: String) async throws {
        let file = "\(try layout().stateDirectory)/manifest-\(UInt32.random(in: 0 ... .max)).yaml"
        try Data(manifest.utf8).write(to: URL(filePath: file))
        _ = try await kubectl(["apply", "-f", file])
    }

    static func status() async throws -> LabStatus {
        try await LabControlClient(try layout()).status()
    }

    /// Asks until there is an answer; fails the test otherwise.
    static func wait<Value>(
        _ what: String, within limit: Duration, isolation: isolated (any Actor)? = #isolation,
        probe: () async throws -> Value?
    ) async throws -> Value {
        try await BoundedWait.until(what, within: limit, hint: try layout().logDirectory, probe: probe)
    }

    static func podNamespace(_ namespace: String, _ pod: String) throws -> NetworkNamespace {
        try NetworkNamespace(name: plan.namespace(ofPod: pod, in: namespace))
    }

    /// Waits until the pod is attached.
    static func awaitPod(_ namespace: String, _ pod: String) async throws -> NetworkNamespace {
        _ = try await wait("pod \(namespace)/\(pod)", within: .seconds(60)) {
            try await status().attachments.first { $0.namespace == namespace && $0.name == pod }
        }
        return try podNamespace(namespace, pod)
    }

    /// The address the server answered with; nil without an answer.
    static func fetch(
        from namespace: NetworkNamespace, _ address: IPAddress, port: UInt16, path: String, timeout: Duration
    ) async throws -> String? {
        let answer = try await NamespaceHTTP.get(
            from: namespace, address, port: port, path: path, timeout: timeout)
        return answer?.body.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// Brings the lab up before the first test of a suite and down after the last, whatever they did.
struct LabTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let start = try await EndToEndLab.control(["lab", "up"])
        try #require(start.status.isSuccess, "lab up: \(start.errorText)")
        do {
            try await function()
        } catch {
            _ = try await EndToEndLab.control(["lab", "down"])
            throw error
        }
        let end = try await EndToEndLab.control(["lab", "down"])
        #expect(end.status.isSuccess, "lab down: \(end.errorText)")
        let left = LabCleanup(layout: try EndToEndLab.layout(), prefix: EndToEndLab.plan.prefix).leftovers
        #expect(left.isEmpty, "lab down leaves nothing")
    }
}

extension Trait where Self == LabTrait {
    static var lab: LabTrait { LabTrait() }
}
