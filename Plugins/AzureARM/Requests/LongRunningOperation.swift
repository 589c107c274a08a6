import JSONModel
import ProviderKit

/// How often an operation is asked about, unless it says so itself: soon at first, then less and less.
struct PollSchedule {
    private var next = Duration.milliseconds(100)
    private static let longest = Duration.seconds(5)

    /// The next wait. A Retry-After of the service wins.
    mutating func wait(retryAfterSeconds: Int?) -> Duration {
        if let seconds = retryAfterSeconds, seconds > 0 { return .seconds(min(seconds, 60)) }
        defer { next = min(next * 1.5, Self.longest) }
        return next
    }
}

extension ARMClient {
    /// Waits until the operation that `first` started has ended.
    ///
    /// Azure-AsyncOperation is preferred, then Location; with neither, a PUT is followed by the resource's own
    /// `provisioningState`.
    ///
    /// - Throws: ``ARMFailure`` with status 200 if it ended Failed or Canceled.
    func finish(
        _ first: Answer, _ method: String, _ id: ResourceID, version: String, deadline: HostInstant
    ) async throws {
        if let url = first.header("azure-asyncoperation") {
            try await followStatus(url, first, method, id, deadline: deadline)
        } else if let url = first.header("location") {
            try await followLocation(url, first, method, id, deadline: deadline)
        } else if method == "PUT" {
            try await followState(first, id, version: version, deadline: deadline)
        } else if first.status == 202 {
            throw ProviderError(.retry, "\(method) \(id.name): accepted without an address to poll")
        }
    }

    private func followStatus(
        _ url: String, _ first: Answer, _ method: String, _ id: ResourceID, deadline: HostInstant
    ) async throws {
        var schedule = PollSchedule()
        var last = first
        while true {
            try await pause(schedule.wait(retryAfterSeconds: last.retryAfterSeconds), id, deadline: deadline)
            last = try await send("GET", url, id, deadline: deadline)
            // Trouble with reading the status is not the operation's end.
            if Self.passing.contains(last.status) { continue }
            guard last.status == 200, let status = last.json?["status"]?.text?.lowercased() else {
                throw failure(last, "poll \(method)", id)
            }
            switch status {
            case "succeeded": return
            case "failed", "canceled":
                throw ARMFailure(
                    status: 200, body: last.json, retryAfterSeconds: last.retryAfterSeconds,
                    request: "\(method) \(id.path.joined(separator: "/")) (operation \(status))")
            default: continue
            }
        }
    }

    private func followLocation(
        _ url: String, _ first: Answer, _ method: String, _ id: ResourceID, deadline: HostInstant
    ) async throws {
        var schedule = PollSchedule()
        var last = first
        var address = url
        while true {
            try await pause(schedule.wait(retryAfterSeconds: last.retryAfterSeconds), id, deadline: deadline)
            last = try await send("GET", address, id, deadline: deadline)
            address = last.header("location") ?? address
            if last.status == 202 || Self.passing.contains(last.status) { continue }
            guard [200, 201, 204].contains(last.status) else { throw failure(last, "poll \(method)", id) }
            return
        }
    }

    private func followState(_ first: Answer, _ id: ResourceID, version: String, deadline: HostInstant) async throws {
        var schedule = PollSchedule()
        var last = first
        while true {
            switch last.json?["properties.provisioningState"]?.text?.lowercased() {
            case nil, "succeeded": return
            case "failed", "canceled":
                throw ARMFailure(
                    status: 200, code: "", message: "provisioningState is Failed or Canceled",
                    request: "PUT \(id.path.joined(separator: "/"))")
            default: break
            }
            try await pause(schedule.wait(retryAfterSeconds: last.retryAfterSeconds), id, deadline: deadline)
            last = try await send("GET", "\(id)?api-version=\(version)", id, deadline: deadline)
            guard last.status == 200 || Self.passing.contains(last.status) else { throw failure(last, "GET", id) }
        }
    }

    /// Statuses of a poll that say nothing about the operation (as in the Go SDK).
    private static let passing: Set<Int> = [408, 429, 500, 502, 503, 504]

    private func pause(_ wait: Duration, _ id: ResourceID, deadline: HostInstant) async throws {
        guard host.now.advanced(by: wait) < deadline else {
            throw ProviderError(
                .retry,
                "\(id.path.joined(separator: "/")): the operation still runs at the deadline of the call; "
                    + "the next call reads what became of it")
        }
        try await Task.sleep(for: wait)
    }
}
