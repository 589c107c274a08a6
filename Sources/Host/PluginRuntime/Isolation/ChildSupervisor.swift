import Dispatch
import FoundationEssentials
import Logging
import ProviderKit
import Synchronization

/// Keeps one plugin's process alive and talks to it.
///
/// The process is restarted with growing pauses whenever it ends. Calls that it had been given fail with
/// ``ResultCode/retry``, which is right because verbs are level-triggered; while it is down, calls are refused with the
/// same code. It is ended from here if it outgrows its memory, or stays silent long after a call's deadline.
final class ChildSupervisor: Sendable {
    /// How long a process may take to come up; loading and `create` have the ABI's own 5 seconds.
    static let startLimit = Duration.seconds(10)
    /// How long after a call's deadline the process must have told what became of it.
    static let silenceLimit = Duration.seconds(10)
    /// How long an orderly end may take: as long as the host waits for a plugin in its own process, and a little more.
    static let closeLimit = Duration.seconds(12)
    private static let inspectionInterval = Duration.seconds(1)

    /// By which the process judges the plugin's file, again at each start.
    private let rules: LoadingRules
    private let program: String
    private let memoryLimit: Int
    private let services: InstanceServices
    private let state: Mutex<State>

    private struct State {
        var lifecycle = ChildLifecycle()
        /// As last accepted; a restart begins with it.
        var entry: PluginEntry
        var process: ChildProcess?
        var channel: IsolationChannel?
        /// Given to the process and not ended by it, with the time by which it must have.
        var calls: [UInt64: HostInstant] = [:]
        var nextQuestion: Int64 = 1
        var questions: [Int64: CheckedContinuation<IsolationFrame, any Error>] = [:]
        /// Waits for a start: the first one in ``ChildSupervisor/start()``.
        var starting: CheckedContinuation<ChildDescription, any Error>?
        var closing: CheckedContinuation<Bool, Never>?
        /// Why the host itself ended the present process.
        var killedBecause: String?
        var inspector: Task<Void, Never>?
    }

    init(
        entry: PluginEntry, rules: LoadingRules, program: String, memoryLimit: Int, services: InstanceServices
    ) {
        self.rules = rules
        self.program = program
        self.memoryLimit = memoryLimit
        self.services = services
        state = Mutex(State(entry: entry))
    }

    // MARK: - Life

    /// Starts the process for the first time.
    ///
    /// - Throws: ``ProviderError`` with the plugin's own code and message; nothing is left then.
    func start() async throws -> ChildDescription {
        do {
            let description = try await withCheckedThrowingContinuation { continuation in
                state.withLock { $0.starting = continuation }
                Task { await spawn() }
            }
            let inspector = Task { await self.inspect() }
            state.withLock { $0.inspector = inspector }
            return description
        } catch {
            _ = await close()
            throw error
        }
    }

    /// A later restart begins with this configuration.
    func restart(with configuration: Data) {
        state.withLock { $0.entry.configuration = configuration }
    }

    /// Ends the process: in order if it can, else at once.
    ///
    /// - Returns: whether it ended in order.
    func close() async -> Bool {
        let channel = state.withLock { state -> IsolationChannel? in
            state.lifecycle.end()
            state.inspector?.cancel()
            return state.channel
        }
        guard let channel else { return true }
        let limit = Task {
            try await Task.sleep(for: Self.closeLimit)
            self.closed(inOrder: false)
        }
        defer { limit.cancel() }
        let inOrder = await withCheckedContinuation { continuation in
            let isGone = state.withLock { state in
                if state.channel == nil { return true }
                state.closing = continuation
                return false
            }
            if isGone || !channel.send(IsolationFrame(.close)) {
                closed(inOrder: false, or: isGone ? continuation : nil)
            }
        }
        state.withLock { $0.process }?.kill()
        channel.close()
        // A killed process is reaped at once; were it not, nobody would wait for it for long.
        for _ in 0..<100 {
            guard state.withLock({ $0.process != nil }) else { break }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return inOrder
    }

    private func closed(inOrder: Bool, or other: CheckedContinuation<Bool, Never>? = nil) {
        let waiting = state.withLock { $0.closing.take() }
        (waiting ?? other)?.resume(returning: inOrder)
    }

    private func spawn() async {
        do {
            let process = try ChildProcess(program: program)
            let limit = Task { [self] in
                try await Task.sleep(for: Self.startLimit)
                self.kill("it did not come up within \(Self.startLimit)")
            }
            reap(process, then: limit)
            let channel = try await IsolationChannel(
                descriptor: process.socket,
                received: { [self] frame in
                    if frame.kind == .started || frame.kind == .failedToStart { limit.cancel() }
                    self.received(frame)
                }, ended: {})
            let entry = state.withLock { state in
                state.process = process
                state.channel = channel
                return state.entry
            }
            let level = Data(services.logger.logLevel.rawValue.utf8)
            channel.send(
                IsolationFrame(.start, [], [try JSONEncoder().encode(entry), level, try JSONEncoder().encode(rules)]))
        } catch {
            died(String(describing: error))
        }
    }

    /// Waits for the process's end on a thread that may block.
    private func reap(_ process: ChildProcess, then limit: Task<Void, any Error>) {
        DispatchQueue.global().async { [self] in
            let why = process.awaitEnd()
            limit.cancel()
            self.died(why)
        }
    }

    private func died(_ why: String) {
        struct Remains {
            var why: String
            var action: ChildLifecycle.Action
            var calls: [UInt64]
            var questions: [CheckedContinuation<IsolationFrame, any Error>]
            var starting: CheckedContinuation<ChildDescription, any Error>?
        }
        let remains = state.withLock { state in
            let why = state.killedBecause.map { "was ended because \($0)" } ?? "ended by itself: \(why)"
            let isFirstStart = state.starting != nil
            if isFirstStart { state.lifecycle.end() }
            let remains = Remains(
                why: why, action: state.lifecycle.died(why, now: HostClock.now()), calls: Array(state.calls.keys),
                questions: Array(state.questions.values), starting: state.starting.take())
            state.channel?.close()
            state.channel = nil
            state.process = nil
            state.killedBecause = nil
            state.calls = [:]
            state.questions = [:]
            return remains
        }
        let error = ProviderError(.retry, "its process \(remains.why)")
        remains.starting?.resume(throwing: error)
        for question in remains.questions { question.resume(throwing: error) }
        closed(inOrder: false)
        guard case .spawn(let pause) = remains.action else { return }
        services.logger.error(
            "plugin process is gone",
            metadata: ["why": .string(remains.why), "restart": .string("in \(pause)")])
        services.report(.crash, remains.why)
        for ticket in remains.calls {
            services.complete(ticket, PluginCompletion(code: .retry, message: error.message))
        }
        Task { [self] in
            try await Task.sleep(for: pause)
            if state.withLock({ $0.lifecycle.restarting() }) { await spawn() }
        }
    }

    private func kill(_ why: String) {
        let process = state.withLock { state in
            if state.killedBecause == nil { state.killedBecause = why }
            return state.process
        }
        process?.kill()
    }

    /// Looks at memory and silence until cancelled.
    private func inspect() async {
        while (try? await Task.sleep(for: Self.inspectionInterval)) != nil {
            let now = HostClock.now()
            let (process, isSilent) = state.withLock { state in
                (state.process, state.calls.values.contains { $0 < now })
            }
            guard let process else { continue }
            let resident = process.residentBytes
            if resident > memoryLimit {
                kill("it held \(resident >> 20) MiB of memory; allowed are \(memoryLimit >> 20)")
            } else if isSilent {
                kill("it said nothing for \(Self.silenceLimit) after a call's deadline")
            }
        }
    }

    // MARK: - Talk

    func start(_ call: OutgoingCall) {
        let sent = state.withLock { state -> Result<Void, ProviderError> in
            guard let channel = state.channel, case .running = state.lifecycle.state else {
                if case .down(let until, let why) = state.lifecycle.state {
                    let wait = max(.zero, HostClock.now().duration(to: until))
                    return .failure(ProviderError(.retry, "its process \(why); it is restarted in \(wait)"))
                }
                return .failure(ProviderError(.retry, "its process is starting"))
            }
            guard channel.send(call.frame) else {
                return .failure(ProviderError(.retry, "its process does not read what it is sent"))
            }
            state.calls[call.ticket] = call.deadline.advanced(by: Self.silenceLimit)
            return .success(())
        }
        if case .failure(let error) = sent { services.refuse(call.ticket, error.code, error.message) }
    }

    func cancel(_ ticket: UInt64) {
        state.withLock { $0.channel }?.send(IsolationFrame(.cancel, [Int64(bitPattern: ticket)]))
    }

    /// Sends a question and waits for its answer.
    ///
    /// - Throws: ``ProviderError`` that the plugin answered, or with ``ResultCode/retry`` if the process is not there.
    func ask(_ kind: IsolationFrame.Kind, _ configuration: Data) async throws -> IsolationFrame {
        let answer = try await withCheckedThrowingContinuation { continuation in
            let isSent = state.withLock { state in
                let number = state.nextQuestion
                state.nextQuestion += 1
                guard let channel = state.channel, channel.send(IsolationFrame(kind, [number], [configuration])) else {
                    return false
                }
                state.questions[number] = continuation
                return true
            }
            if !isSent { continuation.resume(throwing: ProviderError(.retry, "its process is not running")) }
        }
        let code = ResultCode(borderCode: Int32(truncatingIfNeeded: try answer.integer(1))) ?? .terminal
        guard code == .ok else { throw ProviderError(code, try answer.text(0)) }
        return answer
    }

    private func received(_ frame: IsolationFrame) {
        do {
            try handle(frame)
        } catch {
            kill("it sent a frame that is none")
        }
    }

    private func handle(_ frame: IsolationFrame) throws {
        switch frame.kind {
        case .started:
            let description = try JSONDecoder().decode(ChildDescription.self, from: frame.blob(0))
            let starting = state.withLock { state in
                state.lifecycle.started(now: HostClock.now())
                return state.starting.take()
            }
            starting?.resume(returning: description)
            if starting == nil { services.logger.notice("plugin process is back") }
        case .failedToStart:
            let code = ResultCode(borderCode: Int32(truncatingIfNeeded: try frame.integer(0))) ?? .terminal
            let error = ProviderError(code, try frame.text(0))
            state.withLock { $0.starting.take() }?.resume(throwing: error)
        case .completed:
            let ticket = UInt64(bitPattern: try frame.integer(0))
            let completion = try PluginCompletion(frame)
            guard state.withLock({ $0.calls.removeValue(forKey: ticket) }) != nil else { return }
            services.complete(ticket, completion)
        case .answered:
            let number = try frame.integer(0)
            state.withLock { $0.questions.removeValue(forKey: number) }?.resume(returning: frame)
        case .closed: closed(inOrder: try frame.integer(0) == 1)
        case .log, .metric, .event, .fault: try forward(frame)
        case .start, .call, .cancel, .validate, .reconfigure, .close: throw IsolationFrame.malformed
        }
    }

    /// What the plugin wants of its host.
    private func forward(_ frame: IsolationFrame) throws {
        switch frame.kind {
        case .log:
            let level = LogLevel(rawValue: Int32(truncatingIfNeeded: try frame.integer(0))) ?? .error
            let fields = try JSONDecoder().decode([String: String].self, from: frame.blob(1))
            services.log(level, try frame.text(0), fields)
        case .fault:
            services.report(PluginFault(rawValue: try frame.text(0)) ?? .violation, try frame.text(1))
        case .metric: _ = services.record(try JSONDecoder().decode(PluginMetric.self, from: frame.blob(0)))
        case .event: _ = services.post(try JSONDecoder().decode(PluginEvent.self, from: frame.blob(0)))
        default: break
        }
    }
}
