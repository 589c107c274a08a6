import ProviderKit
import Testing

@testable import AzureARM

private func at(_ seconds: Double) -> HostInstant { HostInstant(nanoseconds: Int64(seconds * 1e9)) }

extension RequestBudget {
    /// Leave for a request that must be given.
    fileprivate mutating func ticket(_ now: HostInstant) throws -> Ticket {
        guard case .go(let ticket) = admit(at: now) else { throw ProviderError(.throttled, "no leave") }
        return ticket
    }

    fileprivate mutating func refuse(_ ticket: Ticket, _ seconds: Int?, _ now: HostInstant) {
        answered(ticket, .throttled(retryAfter: seconds.map { .seconds($0) }), at: now, random: 0)
    }

    fileprivate mutating func pass(_ ticket: Ticket, remaining: Int? = nil, _ now: HostInstant) {
        answered(ticket, .passed(remaining: remaining), at: now, random: 0)
    }
}

@Suite struct RequestBudgetTests {
    @Test func `after a refusal nothing goes until Retry-After is over, then one probe`() throws {
        var budget = RequestBudget()
        let first = try budget.ticket(at(0))
        budget.refuse(first, 17, at(1))
        #expect(budget.admit(at: at(1)) == .wait(.seconds(17)))
        #expect(budget.admit(at: at(17.5)) == .wait(.milliseconds(500)))
        let probe = try budget.ticket(at(18))
        #expect(budget.admit(at: at(18)) == .busy)
        budget.pass(probe, at(19))
        // Slow start: the probe that passed lets two go.
        let second = try budget.ticket(at(19))
        _ = try budget.ticket(at(19))
        #expect(budget.admit(at: at(19)) == .busy)
        budget.pass(second, at(20))
        _ = try budget.ticket(at(20))
        _ = try budget.ticket(at(20))
        #expect(budget.admit(at: at(20)) == .busy)
    }

    @Test func `a probe that is refused, too, doubles the pause up to a minute`() throws {
        var budget = RequestBudget()
        var now = at(0)
        var pauses: [Duration] = []
        for _ in 0..<7 {
            budget.refuse(try budget.ticket(now), 5, now)
            let pause = try #require(budget.pause(at: now))
            pauses.append(pause)
            now = now.advanced(by: pause)
        }
        #expect(pauses == [5, 10, 20, 40, 60, 60, 60].map { .seconds($0) })
        // A Retry-After beyond that is heeded all the same, up to an hour.
        budget.refuse(try budget.ticket(now), 900, now)
        #expect(budget.pause(at: now) == .seconds(900))
        now = now.advanced(by: .seconds(900))
        budget.refuse(try budget.ticket(now), 90_000, now)
        #expect(budget.pause(at: now) == .seconds(3600))
    }

    @Test func `refusals of requests that went together are one piece of news`() throws {
        var budget = RequestBudget()
        let tickets = try (0..<16).map { _ in try budget.ticket(at(0)) }
        for ticket in tickets { budget.refuse(ticket, 5, at(1)) }
        #expect(budget.pause(at: at(1)) == .seconds(5))
        let probe = try budget.ticket(at(6))
        budget.refuse(probe, 5, at(6))
        #expect(budget.pause(at: at(6)) == .seconds(10))
    }

    @Test func `when all is well for a while, the next shortage starts from the beginning`() throws {
        var budget = RequestBudget()
        budget.refuse(try budget.ticket(at(0)), 5, at(0))
        budget.refuse(try budget.ticket(at(5)), 5, at(5))
        for step in 0..<RequestBudget.Limits().concurrency {
            let now = at(20 + Double(step))
            budget.pass(try budget.ticket(now), now)
        }
        budget.refuse(try budget.ticket(at(60)), 5, at(60))
        #expect(budget.pause(at: at(60)) == .seconds(5))
    }

    @Test func `with little left, requests go one by one and apart`() throws {
        var budget = RequestBudget()
        budget.pass(try budget.ticket(at(0)), remaining: 12, at(0))
        let next = try budget.ticket(at(1))
        #expect(budget.admit(at: at(1)) == .busy)
        budget.pass(next, at(1.1))
        #expect(budget.admit(at: at(1.1)) == .wait(.milliseconds(400)))
        budget.pass(try budget.ticket(at(1.5)), remaining: 400, at(1.5))
        _ = try budget.ticket(at(1.5))
        _ = try budget.ticket(at(1.5))
    }

    @Test func `no Retry-After means a default, and no answer means nothing`() throws {
        var budget = RequestBudget()
        let lost = try budget.ticket(at(0))
        budget.answered(lost, .unknown, at: at(0), random: 0)
        #expect(budget.pause(at: at(0)) == nil)
        budget.refuse(try budget.ticket(at(0)), nil, at(0))
        #expect(budget.pause(at: at(0)) == .seconds(5))
    }

    @Test func `our own rate is kept`() throws {
        var limits = RequestBudget.Limits()
        limits.rate = RequestPace.Rate(perSecond: 2, burst: 3)
        var budget = RequestBudget(limits: limits)
        for _ in 0..<3 { budget.pass(try budget.ticket(at(0)), at(0)) }
        #expect(budget.admit(at: at(0)) == .wait(.milliseconds(500)))
        budget.pass(try budget.ticket(at(0.5)), at(0.5))
        #expect(budget.admit(at: at(0.75)) == .wait(.milliseconds(250)))
    }

    @Test func `the clock of an ended instance does not stop the others`() throws {
        var budget = RequestBudget()
        budget.refuse(try budget.ticket(at(0)), 5, HostInstant(nanoseconds: .max))
        #expect(budget.pause(at: at(0)) == nil)
    }

    @Test func `headers tell the least that is left`() {
        let response = answer(
            200,
            headers: [
                ("x-ms-ratelimit-remaining-subscription-global-reads", "16499"),
                ("x-ms-ratelimit-remaining-resource", "Microsoft.Compute/HighCostGet3Min;159, Microsoft.Compute/X;21"),
            ])
        #expect(BudgetNews.remaining(response) == 21)
        #expect(BudgetNews.remaining(answer(200)) == nil)
    }

    @Test(arguments: [
        ("TooManyRequests", true), ("OperationNotAllowed", true), ("RetryableError", false), ("QuotaExceeded", false),
    ])
    func `a lock and a quota are no throttling`(code: String, isThrottling: Bool) {
        let failure = ARMFailure(status: 429, code: code, message: "m", retryAfterSeconds: 3, request: "GET x")
        let news = BudgetNews(answer(429), failure: failure)
        #expect(news.answer == (isThrottling ? .throttled(retryAfter: .seconds(3)) : .passed(remaining: nil)))
    }
}

@Suite struct RequestGateTests {
    private let id = ResourceID(subscription: "s", resourceGroup: "g", provider: "Microsoft.Network", path: ["a", "b"])

    private func group(_ method: String) -> RequestGroup {
        RequestGroup(endpoint: "https://x", id: id, method: method)
    }

    @Test func `reads, writes and deletes have budgets of their own; instances share them`() async throws {
        let host = LapseHost()
        let budgets = RequestBudgets()
        let reads = budgets.gate(group("GET"), limits: .init())
        #expect(budgets.gate(group("GET"), limits: .init()) === reads)
        let ticket = try await reads.enter(ProviderHost(host), deadline: host.context().deadline)
        await reads.leave(ticket, .throttled(retryAfter: .seconds(50)), at: host.now(), random: 0)
        let soon = host.now().advanced(by: .seconds(20))
        for method in ["PUT", "DELETE"] {
            _ = try await budgets.gate(group(method), limits: .init()).enter(ProviderHost(host), deadline: soon)
        }
        let error = await #expect(throws: ProviderError.self) {
            _ = try await reads.enter(ProviderHost(host), deadline: soon)
        }
        #expect(error?.code == .throttled && (1...50_000).contains(error?.retryAfterMilliseconds ?? 0))
        #expect(error?.message.contains("microsoft.network reads of subscription s") == true)
    }

    @Test func `a refusal of the resource manager counts for all providers`() async throws {
        let host = LapseHost()
        let budgets = RequestBudgets()
        let other = ResourceID(subscription: "S", resourceGroup: "g", provider: "Microsoft.Compute", path: ["a", "b"])
        let compute = RequestGroup(endpoint: "https://X", id: other, method: "GET")
        let gate = budgets.gate(compute, limits: .init())
        await budgets.throttled(group("GET"), retryAfter: .seconds(100), at: host.now(), random: 0)
        let error = await #expect(throws: ProviderError.self) {
            _ = try await gate.enter(ProviderHost(host), deadline: host.now().advanced(by: .seconds(50)))
        }
        #expect(error?.code == .throttled)
    }

    @Test func `a hundred callers behind a pause are one probe, and all get through`() async throws {
        let host = LapseHost(speed: 100)
        let gate = RequestBudgets().gate(group("GET"), limits: .init())
        let first = try await gate.enter(ProviderHost(host), deadline: host.context().deadline)
        await gate.leave(first, .throttled(retryAfter: .seconds(10)), at: host.now(), random: 0)
        let resumes = host.now().advanced(by: .seconds(9))
        let starts = try await withThrowingTaskGroup(of: HostInstant.self) { tasks in
            for _ in 0..<100 {
                tasks.addTask {
                    let ticket = try await gate.enter(ProviderHost(host), deadline: host.context().deadline)
                    let started = host.now()
                    try await host.sleep(for: .seconds(1))
                    await gate.leave(ticket, .passed(remaining: nil), at: host.now(), random: 0)
                    return started
                }
            }
            return try await tasks.reduce(into: []) { $0.append($1) }.sorted()
        }
        #expect(starts.count == 100 && starts.allSatisfy { $0 >= resumes })
        // The second one starts when the first was answered, not with it.
        #expect(starts[0].duration(to: starts[1]) >= .milliseconds(900))
    }

    @Test func `a caller that is cancelled leaves the line, and the rest goes on`() async throws {
        let host = LapseHost(speed: 50)
        let gate = RequestBudgets().gate(group("PUT"), limits: .init())
        let first = try await gate.enter(ProviderHost(host), deadline: host.context().deadline)
        await gate.leave(first, .throttled(retryAfter: .seconds(20)), at: host.now(), random: 0)
        let waiting = (0..<5).map { _ in
            Task { try await gate.enter(ProviderHost(host), deadline: host.context().deadline) }
        }
        try await Task.sleep(for: .milliseconds(50))
        for index in [0, 2, 4] { waiting[index].cancel() }
        for index in [0, 2, 4] {
            await #expect(throws: CancellationError.self) { _ = try await waiting[index].value }
        }
        await gate.leave(try await waiting[1].value, .passed(remaining: nil), at: host.now(), random: 0)
        await gate.leave(try await waiting[3].value, .passed(remaining: nil), at: host.now(), random: 0)
    }
}
