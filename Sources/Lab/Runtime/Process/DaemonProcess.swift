import Glibc
import Logging

/// One program that is kept running: restarted when it ends, stopped on request.
public actor DaemonProcess {
    /// What can be said of it at a moment.
    public struct State: Sendable, Codable, Equatable {
        public var name: String
        /// Nil while it does not run.
        public var pid: Int32?
        /// How often it was started again.
        public var restarts: Int
        /// Held down on purpose.
        public var isHeld: Bool
        public var logFile: String
    }

    public nonisolated let name: String
    private let command: ChildCommand
    private let logFile: String
    private let logger: Logger
    private var pid: Int32?
    private var restarts = 0
    private var isHeld = false
    private var isStopping = false
    private var isRestarting = false

    /// How long a process may take to end after SIGTERM before SIGKILL.
    private static let stopLimit = Duration.seconds(10)
    /// Before the first restart; doubles with each one.
    private static let shortestDelay = Duration.milliseconds(500)
    /// A process that ran for this long counts as sound: its next restart is a first one.
    private static let steadyTime = Duration.seconds(30)

    public init(name: String, command: ChildCommand, logFile: String, logger: Logger) {
        self.name = name
        self.command = command
        self.logFile = logFile
        self.logger = logger
    }

    public var state: State { State(name: name, pid: pid, restarts: restarts, isHeld: isHeld, logFile: logFile) }

    /// Keeps the program running until `stop`.
    ///
    /// - Throws: `processFailed` if it cannot even be started.
    public func run() async throws {
        let clock = ContinuousClock()
        var delay = Self.shortestDelay
        while !isStopping, !Task.isCancelled {
            if isHeld {
                try? await Task.sleep(for: .milliseconds(50))
                continue
            }
            let begin = clock.now
            let status = try await runOnce()
            if isStopping || isHeld { continue }
            if isRestarting {
                isRestarting = false
                restarts += 1
                continue
            }
            logger.warning(
                "process ended; it is started again",
                metadata: ["process": "\(name)", "status": "\(status)", "log": "\(logFile)"])
            restarts += 1
            delay = clock.now - begin > Self.steadyTime ? Self.shortestDelay : min(delay * 2, .seconds(10))
            try? await Task.sleep(for: delay)
        }
    }

    /// Ends the program in good order, so that it is started again with what its files say by then. Nothing happens
    /// while it is held down.
    public func restart() async {
        guard let pid else { return }
        isRestarting = true
        kill(pid, SIGTERM)
        await waitForEnd(of: pid)
    }

    /// Ends the program for good: SIGTERM, and SIGKILL if that does not help in time.
    public func stop() async {
        isStopping = true
        guard let pid else { return }
        kill(pid, SIGTERM)
        await waitForEnd(of: pid)
    }

    private func waitForEnd(of pid: Int32) async {
        let clock = ContinuousClock()
        let deadline = clock.now + Self.stopLimit
        while self.pid == pid, clock.now < deadline { try? await Task.sleep(for: .milliseconds(20)) }
        guard self.pid == pid else { return }
        logger.warning("process did not end in time and is killed", metadata: ["process": "\(name)"])
        kill(pid, SIGKILL)
    }

    /// Ends the program at once, without a word, and keeps it down: what a power cut does.
    public func hold() {
        isHeld = true
        if let pid { kill(pid, SIGKILL) }
    }

    /// Lets the program run again.
    public func release() {
        isHeld = false
    }

    private func runOnce() async throws -> ExitStatus {
        let pid = try await ChildProcess.start(command, logFile: logFile)
        self.pid = pid
        // What was asked for while it was being started.
        if isStopping { kill(pid, SIGTERM) }
        if isHeld { kill(pid, SIGKILL) }
        defer { self.pid = nil }
        return try await ChildProcess.wait(for: pid)
    }
}
