import Foundation
import Glibc
import LinuxNet

/// Starts the supervisor in the background and stops it again.
public struct LabLauncher: Sendable {
    public enum Outcome: Sendable, Equatable {
        case started
        case wasUp
    }

    private let layout: LabLayout
    private let plan: LabPlan
    private static let startLimit = Duration.seconds(90)

    public init(layout: LabLayout, plan: LabPlan = LabPlan()) {
        self.layout = layout
        self.plan = plan
    }

    /// Makes the lab be up and waits until it is. A lab that died halfway is removed first.
    ///
    /// - Parameter progress: Told, in order, what is being waited for.
    /// - Throws: `alreadyUp` if a lab with another state directory runs; `processFailed` or `timeout` that name what
    ///   was waited for and the log.
    public func up(progress: @Sendable (String) -> Void) async throws -> Outcome {
        let state = LabState.load(layout.stateFile)
        if let state, state.supervisor.isRunning, state.phase != .failed {
            guard state.tunnel == plan.tunnel else {
                throw LabError(
                    code: .alreadyUp,
                    message: "the lab is up with the tunnel \(state.tunnel.rawValue), not \(plan.tunnel.rawValue)",
                    advice: "change it with: egressctl lab tunnel \(plan.tunnel.rawValue)")
            }
            guard state.apiServer == plan.apiServer else {
                throw LabError(
                    code: .alreadyUp,
                    message:
                        "the lab is up with the \(state.apiServer.rawValue) API server, not \(plan.apiServer.rawValue)",
                    advice: "stop it first: egressctl lab down")
            }
            if state.phase == .ready { return .wasUp }
            try await awaitReady(progress: progress)
            return .wasUp
        }
        let cleanup = LabCleanup(layout: layout, prefix: plan.prefix)
        if let other = cleanup.foreignStateDirectory {
            throw LabError(
                code: .alreadyUp, message: "another lab runs on this machine, in \(other)",
                advice: "stop it first: egressctl lab down --state-dir \(other)")
        }
        if let program = plan.apiServer.program {
            _ = try KubernetesAPIServer.Programs.find(program, environment: ProcessInfo.processInfo.environment)
        }
        if cleanup.isNeeded {
            progress("removing what an earlier lab left")
            try await cleanup.run()
        }
        try makeDirectories()
        let arguments = [
            "lab", "serve", "--state-dir", layout.stateDirectory, "--latency-scale", "\(plan.latencyScale)",
            "--tunnel", plan.tunnel.rawValue, "--apiserver", plan.apiServer.rawValue,
        ]
        let pid = try await ChildProcess.start(
            ChildCommand(layout.controlProgram, arguments), logFile: layout.supervisorLog)
        // Collects it if it ends while this process lives; later, init does.
        Task { try? await ChildProcess.wait(for: pid) }
        do {
            try await awaitReady(progress: progress)
        } catch {
            kill(pid, SIGTERM)
            throw error
        }
        return .started
    }

    /// The lab removes its state directory whole, so it takes none that holds anything else.
    private func makeDirectories() throws {
        let files = FileManager.default
        let contents = (try? files.contentsOfDirectory(atPath: layout.stateDirectory)) ?? []
        guard contents.isEmpty else {
            throw LabError(
                code: .invalidInput, message: "state directory \(layout.stateDirectory) holds other files",
                advice: "allowed: a directory that is empty or does not exist")
        }
        try files.createDirectory(atPath: layout.logDirectory, withIntermediateDirectories: true)
    }

    private func awaitReady(progress: (String) -> Void) async throws {
        let clock = ContinuousClock()
        let begin = clock.now
        var step = ""
        while true {
            let state = LabState.load(layout.stateFile)
            if let state, state.step != step, state.phase == .starting {
                step = state.step
                progress("waiting for \(step)")
            }
            if state?.phase == .ready { return }
            if let state, state.phase == .failed || !state.supervisor.isRunning {
                throw LabError(
                    code: .processFailed, message: "the lab did not start",
                    cause: state.phase == .failed ? state.step : "the supervisor ended while waiting for \(state.step)",
                    advice: "see \(layout.supervisorLog)")
            }
            // Before the first state there is only the process itself, which may fail at once.
            let limit = state == nil ? Duration.seconds(10) : Self.startLimit
            guard clock.now - begin < limit else {
                throw LabError(
                    code: .timeout,
                    message: "waited \(limit.components.seconds) s for \(step.isEmpty ? "the supervisor" : step)",
                    advice: "see \(layout.supervisorLog)")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Ends the lab and removes everything it made.
    ///
    /// - Returns: Whether there was anything.
    public func down() async throws -> Bool {
        let cleanup = LabCleanup(layout: layout, prefix: plan.prefix)
        guard cleanup.isNeeded else { return false }
        if let other = cleanup.foreignStateDirectory {
            throw LabError(
                code: .alreadyUp, message: "the lab on this machine is in \(other)",
                advice: "name it: egressctl lab down --state-dir \(other)")
        }
        try await cleanup.run()
        return true
    }
}
