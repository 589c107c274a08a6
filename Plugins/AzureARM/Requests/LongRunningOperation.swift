import JSONModel
import ProviderKit

/// How often an operation is asked about, unless it says so itself: soon at first, then less and less.
struct PollSchedule {
    private var next = Duration.milliseconds(100)
    private static let longest = Duration.seconds(5)
    /// A Retry-After shorter than this is not heeded (`enableMinimumRetryAfter`).
    let least: Duration?

    init(least: Duration? = nil) {
        self.least = least
    }

    /// The next wait. A Retry-After of the service wins.
    mutating func wait(retryAfterSeconds: Int?) -> Duration {
        if let seconds = retryAfterSeconds, seconds > 0, least.map({ .seconds(seconds) >= $0 }) ?? true {
            return .seconds(min(seconds, 60))
        }
        defer { next = min(next * 1.5, Self.longest) }
        return next
    }
}

extension ARMClient {
    /// Longest wait for an operation of somebody else before the host is asked to come back.
    private static let patienceWithOthers = Duration.seconds(60)

    /// Waits until the operation that `first` started has ended.
    ///
    /// Azure-AsyncOperation is preferred, then Location; with neither, a PUT is followed by the resource's own
    /// `provisioningState`. A wait that ends early, by deadline or cancellation, leaves the operation to itself: whoever
    /// comes next finds the resource being worked on and waits for it (``waitUntilSettled(_:_:version:deadline:)``).
    ///
    /// - Throws: ``ARMFailure`` with status 200 if it ended Failed or Canceled.
    func finish(
        _ first: Answer, _ method: String, _ id: ResourceID, version: String, deadline: HostInstant
    ) async throws {
        if let url = first.header("azure-asyncoperation") {
            try await followStatus(url, first, method, id, version: version, deadline: deadline)
        } else if let url = first.header("location") {
            try await followLocation(url, first, method, id, deadline: deadline)
        } else if method == "PUT" {
            try await followState(first, id, version: version, deadline: deadline)
        } else if first.status == 202 {
            throw ProviderError(.retry, "\(method) \(id.name): accepted without an address to poll")
        }
    }

    private func followStatus(
        _ url: String, _ first: Answer, _ method: String, _ id: ResourceID, version: String, deadline: HostInstant
    ) async throws {
        var schedule = schedule()
        var last = first
        while true {
            try await pause(schedule.wait(retryAfterSeconds: last.retryAfterSeconds), id, deadline: deadline)
            last = try await send("GET", url, id, isPoll: true, deadline: deadline)
            // Trouble with reading the status is not the operation's end.
            if Self.passing.contains(last.status) { continue }
            if last.status == 404, method == "PUT" {
                // The record of the operation is gone; the resource itself says what became of it.
                let now = try await send("GET", "\(id)?api-version=\(version)", id, deadline: deadline)
                return try await followState(now, id, version: version, deadline: deadline)
            }
            guard last.status == 200, let status = last.json?["status"]?.text?.lowercased() else {
                throw failure(last, "poll \(method)", id)
            }
            switch status {
            case "succeeded": return
            case "failed", "canceled":
                throw ARMFailure(
                    status: 200, body: last.json, retryAfterSeconds: last.retryAfterSeconds,
                    request: "\(method) \(id.path.joined(separator: "/")) (operation \(status))"
                ).ofOperation(status)
            default: continue
            }
        }
    }

    private func followLocation(
        _ url: String, _ first: Answer, _ method: String, _ id: ResourceID, deadline: HostInstant
    ) async throws {
        var schedule = schedule()
        var last = first
        var address = url
        while true {
            try await pause(schedule.wait(retryAfterSeconds: last.retryAfterSeconds), id, deadline: deadline)
            last = try await send("GET", address, id, isPoll: true, deadline: deadline)
            address = last.header("location") ?? address
            if last.status == 202 || Self.passing.contains(last.status) { continue }
            guard [200, 201, 204].contains(last.status) else { throw failure(last, "poll \(method)", id) }
            return
        }
    }

    private func followState(_ first: Answer, _ id: ResourceID, version: String, deadline: HostInstant) async throws {
        var schedule = schedule()
        var last = first
        while true {
            let state = last.json?["properties.provisioningState"]?.text?.lowercased()
            switch Self.passing.contains(last.status) ? "updating" : state {
            case nil, "succeeded": return
            case "failed", "canceled":
                throw ARMFailure(
                    status: 200, code: "", message: "provisioningState is Failed or Canceled",
                    request: "PUT \(id.path.joined(separator: "/"))"
                ).ofOperation(state ?? "")
            default: break
            }
            try await pause(schedule.wait(retryAfterSeconds: last.retryAfterSeconds), id, deadline: deadline)
            last = try await send("GET", "\(id)?api-version=\(version)", id, isPoll: true, deadline: deadline)
            guard last.status == 200 || Self.passing.contains(last.status) else { throw failure(last, "GET", id) }
        }
    }

    // MARK: - Operations of others

    /// Before a write: if an operation works on the resource, waits for its end and answers `conflict`, so that the
    /// caller reads the outcome and decides again. It may be our own, from before a restart.
    ///
    /// - Throws: ``ProviderError`` `conflict` after the operation's end, `retry` if it takes too long; nothing if none
    ///   is at work.
    func waitUntilSettled(
        _ current: ARMResource?, _ id: ResourceID, version: String, deadline: HostInstant
    ) async throws {
        guard let current, !current.isSettled else { return }
        let state = current.body["properties.provisioningState"]?.text ?? ""
        host.log(.info, "waiting for an operation that is under way", ["resource": id.name, "state": state])
        let limit = min(deadline, host.now.advanced(by: Self.patienceWithOthers))
        var schedule = schedule()
        while true {
            try await pause(schedule.wait(retryAfterSeconds: nil), id, deadline: limit)
            let now = try await read(id, version: version, deadline: limit)
            if now?.isSettled ?? true { break }
        }
        throw ProviderError(.conflict, "\(id.path.joined(separator: "/")): was \(state) and is to be read again")
    }

    /// After a write that was refused because another operation runs: waits for the end of that one, whose address is
    /// in the refusal's message. What became of it does not matter here.
    func waitForOther(_ failure: ARMFailure, _ id: ResourceID, deadline: HostInstant) async throws {
        guard failure.code.lowercased() == "anotheroperationinprogress" else { return }
        let manager = try await environment(deadline: deadline).resourceManager.lowercased()
        let words = failure.message.split { $0.isWhitespace || "\"'()<>".contains($0) }.map(String.init)
        guard let address = words.first(where: { $0.lowercased().hasPrefix("\(manager)/subscriptions/") }) else {
            return
        }
        let limit = min(deadline, host.now.advanced(by: Self.patienceWithOthers))
        var schedule = schedule()
        var retryAfter = failure.retryAfterSeconds
        while true {
            try await pause(schedule.wait(retryAfterSeconds: retryAfter), id, deadline: limit)
            let poll = try await send("GET", address, id, isPoll: true, deadline: limit)
            retryAfter = poll.retryAfterSeconds
            let isRunning = poll.status == 200 && poll.json?["status"]?.text?.lowercased() == "inprogress"
            guard isRunning || poll.status == 202 || Self.passing.contains(poll.status) else { return }
        }
    }

    // MARK: - Parts

    private func schedule() -> PollSchedule {
        let pace = configuration.pace
        return PollSchedule(least: pace.ignoresShortRetryAfter ? pace.retryBase : nil)
    }

    /// Statuses of a poll that say nothing about the operation (as in the Go SDK).
    private static let passing: Set<Int> = [408, 429, 500, 502, 503, 504]

    private func pause(_ wait: Duration, _ id: ResourceID, deadline: HostInstant) async throws {
        guard host.now.advanced(by: wait) < deadline else {
            throw ProviderError(
                .retry,
                "\(id.path.joined(separator: "/")): an operation still runs at the deadline of the call; "
                    + "the next call reads what became of it")
        }
        try await host.sleep(for: wait)
    }
}

extension ARMFailure {
    /// A failed operation without a word about why is told by its own status, so that the error table has a row for it.
    func ofOperation(_ status: String) -> ARMFailure {
        var copy = self
        if copy.code.isEmpty || copy.code.lowercased() == status {
            copy.code = status == "canceled" ? "OperationCanceled" : "OperationFailed"
        }
        return copy
    }
}
