import FoundationEssentials
import NIOPosix
import Synchronization

/// The credentials that a program gives. It runs when they are needed first, when they have expired, and when the server
/// refused them; once at a time, whoever needs them meanwhile waits. The program runs on one of NIO's blocking-work
/// threads.
actor ExecCredentialSource: CredentialSource {
    /// After a run that failed, and after one because the server refused credentials, no other begins for such a reason
    /// before this: a program that asks an identity provider must not do so with every request.
    static let pause = Duration.seconds(2)

    private let plugin: ExecCredentialPlugin
    private let now: @Sendable () -> Date
    private let pause: Duration
    private let isStopped = StopFlag()
    private var held: ExecCredentialPlugin.Answer?
    private var lastFailure: KubernetesError?
    private var failedAt: ContinuousClock.Instant?
    private var refusedAt: ContinuousClock.Instant?
    private var isRunning = false
    private var waiters: [UInt64: CheckedContinuation<Credentials, any Error>] = [:]
    private var nextWaiter: UInt64 = 0

    /// - Parameters:
    ///   - now: the wall clock, which expiry is told by; tests give their own.
    ///   - pause: see ``pause``.
    init(
        plugin: ExecCredentialPlugin, now: @escaping @Sendable () -> Date = { Date() }, pause: Duration = pause
    ) {
        self.plugin = plugin
        self.now = now
        self.pause = pause
    }

    func current() async throws -> Credentials {
        if let held, held.expiresAt.map({ now() < $0 }) ?? true { return held.credentials }
        if let lastFailure, isTooSoon(failedAt) { throw lastFailure }
        return try await wait()
    }

    func refresh(refused: Credentials) async -> Bool {
        if !isRunning {
            // Somebody else had them replaced meanwhile.
            if let held, held.credentials != refused { return true }
            if isTooSoon(refusedAt) || isTooSoon(failedAt) { return false }
            refusedAt = .now
        }
        guard let fresh = try? await wait() else { return false }
        return fresh != refused
    }

    func stop() {
        isStopped.raise()
    }

    private func isTooSoon(_ last: ContinuousClock.Instant?) -> Bool {
        last.map { ContinuousClock.now - $0 < pause } ?? false
    }

    /// Waits for the end of a run, which begins now unless there is one.
    private func wait() async throws -> Credentials {
        if !isRunning {
            isRunning = true
            // Its end is this actor's to see even if all who wait for it are cancelled.
            Task { await self.run() }
        }
        nextWaiter += 1
        let ticket = nextWaiter
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                if Task.isCancelled {
                    continuation.resume(throwing: CancellationError())
                } else {
                    waiters[ticket] = continuation
                }
            }
        } onCancel: {
            Task { await self.abandon(ticket) }
        }
    }

    private func abandon(_ ticket: UInt64) {
        waiters.removeValue(forKey: ticket)?.resume(throwing: CancellationError())
    }

    private func run() async {
        let (plugin, isStopped) = (plugin, isStopped)
        let result: Result<Credentials, any Error>
        do {
            let output = try await NIOThreadPool.singleton.runIfActive {
                try ExecPluginProcess.run(plugin, isStopped: isStopped)
            }
            let answer = try plugin.answer(output)
            held = answer
            lastFailure = nil
            failedAt = nil
            result = .success(answer.credentials)
        } catch {
            held = nil
            lastFailure = error as? KubernetesError ?? plugin.problem("cannot be run: \(error)")
            failedAt = .now
            result = .failure(lastFailure ?? error)
        }
        isRunning = false
        let all = waiters.values
        waiters = [:]
        for waiter in all { waiter.resume(with: result) }
    }
}

/// Raised once, from any thread.
final class StopFlag: Sendable {
    private let state = Atomic(false)

    var isRaised: Bool { state.load(ordering: .relaxed) }

    func raise() { state.store(true, ordering: .relaxed) }
}
