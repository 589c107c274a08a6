import ProviderKit

/// A ``RequestBudget`` that callers wait at: in order of arrival, at most ``maximumWaiting`` of them, each until its own
/// deadline or cancellation. Only the first in the line sleeps; the rest sleep behind it.
actor RequestGate {
    /// Callers that may wait; what comes above is told to come back later.
    static let maximumWaiting = 1024

    nonisolated let group: RequestGroup
    private var budget: RequestBudget
    private var isTaken = false
    private var line: [UInt64] = []
    private var waiting: [UInt64: CheckedContinuation<Void, any Error>] = [:]
    /// The first in the line, while it waits for an answer to come in.
    private var head: UInt64?
    private var nextNumber: UInt64 = 0

    init(group: RequestGroup, limits: RequestBudget.Limits) {
        self.group = group
        budget = RequestBudget(limits: limits)
    }

    /// Waits for leave to send one request.
    ///
    /// - Throws: ``ProviderError`` `throttled` with the wait, if leave comes after `deadline`; `CancellationError`.
    func enter(_ host: ProviderHost, deadline: HostInstant) async throws -> RequestBudget.Ticket {
        let now = host.now
        if let pause = budget.pause(at: now), now.advanced(by: pause) >= deadline { throw refusal(pause) }
        try await takeTurn()
        defer { passTurn() }
        while true {
            try Task.checkCancellation()
            let now = host.now
            guard now < deadline else { throw refusal(budget.pause(at: now) ?? .seconds(1)) }
            switch budget.admit(at: now) {
            case .go(let ticket): return ticket
            case .wait(let pause):
                guard now.advanced(by: pause) < deadline else { throw refusal(pause) }
                try await host.sleep(for: pause)
            case .busy:
                let number = newNumber()
                head = number
                defer { head = nil }
                try await suspend(number)
            }
        }
    }

    /// Hands an answer's news back; every ``enter(_:deadline:)`` that returned must be followed by this.
    func leave(_ ticket: RequestBudget.Ticket, _ answer: RequestBudget.Answer, at now: HostInstant, random: Double) {
        budget.answered(ticket, answer, at: now, random: random)
        if let head { waiting.removeValue(forKey: head)?.resume() }
    }

    func throttledElsewhere(retryAfter: Duration?, at now: HostInstant, random: Double) {
        budget.throttledElsewhere(retryAfter: retryAfter, at: now, random: random)
    }

    private func refusal(_ wait: Duration) -> ProviderError {
        let milliseconds = Int(min(max(wait / .milliseconds(1), 1), 86_400_000).rounded(.up))
        return ProviderError(
            .throttled, "Azure throttles \(group); the next request goes in \(milliseconds) ms",
            retryAfterMilliseconds: milliseconds)
    }

    // MARK: - The line

    private func takeTurn() async throws {
        guard isTaken else {
            isTaken = true
            return
        }
        guard line.count < Self.maximumWaiting else { throw refusal(budget.limits.pause) }
        let number = newNumber()
        line.append(number)
        try await suspend(number)
    }

    /// Ends the turn of the first in the line; the next one that still waits has it.
    private func passTurn() {
        while !line.isEmpty {
            if let next = waiting.removeValue(forKey: line.removeFirst()) {
                next.resume()
                return
            }
        }
        isTaken = false
    }

    private func newNumber() -> UInt64 {
        nextNumber += 1
        return nextNumber
    }

    private func suspend(_ number: UInt64) async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                if Task.isCancelled {
                    continuation.resume(throwing: CancellationError())
                } else {
                    waiting[number] = continuation
                }
            }
        } onCancel: {
            Task { await self.cancel(number) }
        }
    }

    private func cancel(_ number: UInt64) {
        line.removeAll { $0 == number }
        waiting.removeValue(forKey: number)?.resume(throwing: CancellationError())
    }
}
