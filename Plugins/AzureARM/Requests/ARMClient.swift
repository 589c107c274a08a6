import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// Reads and writes of Azure Resource Manager, through the host's HTTP service. Opens no socket of its own.
///
/// A write replaces what was read and nothing else: it carries If-Match, and where an operation of somebody else works
/// on the resource it waits for its end and answers `conflict`, so that the caller reads and decides again
/// (``retryingConflicts(attempts:host:deadline:_:)``). It returns when its own long-running operation has ended. All
/// functions throw ``ProviderError``, mapped by ``ErrorTable``.
public actor ARMClient {
    public nonisolated let configuration: CloudConfiguration
    nonisolated let host: ProviderHost
    nonisolated let surroundings: Surroundings
    private let tokens: TokenSource
    private let budgets: RequestBudgets
    private var discovered: CloudEnvironment?

    /// Longest wait for one answer; ARM gives up on a call after 60 s.
    private static let callTimeout = Duration.seconds(60)
    private static let maximumPages = 100
    /// Sends of one request, refusals for want of budget included.
    private static let maximumSends = 20

    /// - Parameter budgets: shared by the clients of one subscription in this process.
    public init(
        host: ProviderHost, configuration: CloudConfiguration, budgets: RequestBudgets = RequestBudgets(),
        surroundings: Surroundings = .process
    ) {
        self.host = host
        self.configuration = configuration
        self.budgets = budgets
        self.surroundings = surroundings
        tokens = TokenSource(
            host: host,
            request: TokenRequest(
                credential: configuration.credential, userAgent: configuration.userAgent, surroundings: surroundings))
    }

    /// A client for a plugin: reads its configuration, checks the files it names, and shares the process's budgets.
    ///
    /// - Throws: ``ProviderError`` with `invalid` that names the field or file, and what is allowed.
    public static func make(host: ProviderHost, pluginConfiguration: Data) throws(ProviderError) -> ARMClient {
        let surroundings = Surroundings.process
        let configuration = try CloudConfiguration(
            pluginConfiguration: pluginConfiguration, surroundings: surroundings)
        try TokenRequest(
            credential: configuration.credential, userAgent: configuration.userAgent, surroundings: surroundings
        ).checkFiles()
        for notice in configuration.notices { host.log(.warning, "cloud configuration", ["notice": notice]) }
        return ARMClient(
            host: host, configuration: configuration, budgets: .shared, surroundings: surroundings)
    }

    /// Judges a plugin's configuration as ``make(host:pluginConfiguration:)`` does, and makes nothing.
    public static func checkSettings(_ pluginConfiguration: Data) throws(ProviderError) {
        let configuration = try CloudConfiguration(
            pluginConfiguration: pluginConfiguration, surroundings: .process)
        try TokenRequest(
            credential: configuration.credential, userAgent: configuration.userAgent, surroundings: .process
        ).checkFiles()
    }

    /// Whether a token for the resource manager can be had, and by which kind of identity.
    public func probe(deadline: HostInstant) async -> ProbeResult {
        let facts = [
            "cloud": configuration.cloud, "subscription": configuration.subscriptionID,
            "identity": configuration.credential.kind,
        ]
        do {
            let limit = min(deadline, host.now.advanced(by: Self.callTimeout))
            let environment = try await environment(deadline: limit)
            _ = try await tokens.authorization(environment, deadline: limit)
            return ProbeResult(ready: true, facts: facts)
        } catch {
            let error = (error as? ARMFailure)?.providerError ?? ProviderError(error)
            return ProbeResult(ready: false, reason: "no token: \(error.message)", facts: facts)
        }
    }

    /// The resource, or nil if there is none. A missing resource group or subscription is an error.
    public func get(_ id: ResourceID, version: String, deadline: HostInstant) async throws -> ARMResource? {
        try await mappingFailures { try await self.read(id, version: version, deadline: deadline) }
    }

    func read(_ id: ResourceID, version: String, deadline: HostInstant) async throws -> ARMResource? {
        let answer = try await send("GET", "\(id)?api-version=\(version)", id, deadline: deadline)
        if ErrorTable.meansAbsent(failure(answer, "GET", id)) { return nil }
        guard answer.status == 200, let body = answer.json else { throw failure(answer, "GET", id) }
        return ARMResource(body: body, etag: answer.header("etag"))
    }

    /// Every element of a list, page by page.
    public func list(_ id: ResourceID, version: String, deadline: HostInstant) async throws -> [JSONValue] {
        try await mappingFailures {
            var elements: [JSONValue] = []
            var next: String? = "\(id)?api-version=\(version)"
            var pages = 0
            while let address = next, !address.isEmpty {
                guard pages < Self.maximumPages else {
                    throw ProviderError(.terminal, "GET \(id.path.last ?? ""): more than \(pages) pages")
                }
                pages += 1
                let answer = try await self.send("GET", address, id, deadline: deadline)
                guard answer.status == 200, let body = answer.json else { throw self.failure(answer, "GET", id) }
                elements += body["value"]?.elements ?? []
                next = body["nextLink"]?.text
            }
            return elements
        }
    }

    /// Writes a resource and waits for the operation.
    ///
    /// - Parameter current: the resource that the body was made from; nil if there was none. If it is another one by
    ///   now, nothing is written.
    /// - Returns: the resource as it is afterwards.
    public func put(
        _ id: ResourceID, _ body: JSONValue, version: String, replacing current: ARMResource?, deadline: HostInstant
    ) async throws -> ARMResource {
        try await mappingFailures {
            try await self.waitUntilSettled(current, id, version: version, deadline: deadline)
            let answer = try await self.send(
                "PUT", "\(id)?api-version=\(version)", id, body: body, condition: Self.condition(current),
                deadline: deadline)
            guard [200, 201, 202].contains(answer.status) else {
                let failure = self.failure(answer, "PUT", id)
                try await self.waitForOther(failure, id, deadline: deadline)
                throw failure
            }
            try await self.finish(answer, "PUT", id, version: version, deadline: deadline)
            let after = try await self.send("GET", "\(id)?api-version=\(version)", id, deadline: deadline)
            guard after.status == 200, let result = after.json else { throw self.failure(after, "GET", id) }
            return ARMResource(body: result, etag: after.header("etag"))
        }
    }

    /// Deletes a resource and waits for the operation; one that is not there counts as deleted.
    public func delete(
        _ id: ResourceID, version: String, replacing current: ARMResource?, deadline: HostInstant
    ) async throws {
        try await mappingFailures {
            try await self.waitUntilSettled(current, id, version: version, deadline: deadline)
            let answer = try await self.send(
                "DELETE", "\(id)?api-version=\(version)", id, condition: current.flatMap { Self.condition($0) },
                deadline: deadline)
            guard [200, 202, 204, 404].contains(answer.status) else {
                let failure = self.failure(answer, "DELETE", id)
                try await self.waitForOther(failure, id, deadline: deadline)
                throw failure
            }
            if answer.status == 202 {
                try await self.finish(answer, "DELETE", id, version: version, deadline: deadline)
            }
        }
    }

    /// If-Match where there is an etag. A resource that was not there must still not be (If-None-Match, RFC 9110
    /// section 13.1.2; the Azure SDKs have it for Microsoft.Compute, and it does no harm where it is not heeded).
    private static func condition(_ current: ARMResource?) -> HTTPField? {
        guard let current else { return HTTPField("if-none-match", "*") }
        return current.etag.map { HTTPField("if-match", $0) }
    }

    // MARK: - One exchange

    /// An answer, its body read.
    struct Answer: Sendable {
        let status: Int
        let response: HTTPResponse
        let json: JSONValue?

        func header(_ name: String) -> String? { response.header(name) }
        var retryAfterSeconds: Int? { AzureARM.retryAfterSeconds(response) }
    }

    nonisolated func failure(_ answer: Answer, _ method: String, _ id: ResourceID) -> ARMFailure {
        ARMFailure(
            status: answer.status, body: answer.json, retryAfterSeconds: answer.retryAfterSeconds,
            request: "\(method) \(id.path.joined(separator: "/"))")
    }

    /// Sends a request with a token and within the budget. A refused token is replaced once; a request refused for want
    /// of budget is sent again when there is some, and one that met trouble of the service after a while, as often as
    /// the configuration says: requests here may be repeated, since each says what shall be and If-Match guards it.
    ///
    /// - Parameters:
    ///   - address: a path, or an absolute URL that the resource manager handed out.
    ///   - isPoll: trouble of the service goes to the caller, who asks again by itself.
    func send(
        _ method: String, _ address: String, _ id: ResourceID, body: JSONValue? = nil, condition: HTTPField? = nil,
        isPoll: Bool = false, deadline: HostInstant
    ) async throws -> Answer {
        let environment = try await environment(deadline: deadline)
        let url = try ownAddress(address, method, id, environment)
        let group = RequestGroup(endpoint: environment.resourceManager, id: id, method: method)
        var retries = RetryWaits(configuration.pace)
        var wasRefusedToken = false
        for sends in 1... {
            let (answer, token) = try await metered(group, deadline) {
                try await self.exchange(method, url, environment, body: body, condition: condition, deadline: deadline)
            }
            let verdict = answer.status < 400 ? nil : failure(answer, method, id).verdict
            if answer.status == 401, !wasRefusedToken {
                wasRefusedToken = true
                await tokens.invalidate(token)
                continue
            }
            if verdict?.code == .throttled, sends < Self.maximumSends { continue }
            guard !isPoll, RetryWaits.statuses.contains(answer.status), let wait = retries.next(answer, surroundings),
                host.now.advanced(by: wait) < deadline
            else { return answer }
            host.log(.debug, "request is repeated", ["status": "\(answer.status)", "request": "\(method) \(id.name)"])
            try await host.sleep(for: wait)
        }
        throw ProviderError(.retry, "\(method) \(id.name): sent too often")
    }

    /// Waits for leave, runs the exchange, and tells the budget what the answer says.
    private func metered(
        _ group: RequestGroup, _ deadline: HostInstant, _ body: () async throws -> (answer: Answer, token: Secret)
    ) async throws -> (answer: Answer, token: Secret) {
        var limits = RequestBudget.Limits()
        limits.rate = group.kind == .reads ? configuration.pace.reads : configuration.pace.writes
        let gate = budgets.gate(group, limits: limits)
        let ticket = try await gate.enter(host, deadline: deadline)
        let result: (answer: Answer, token: Secret)
        do {
            result = try await body()
        } catch {
            await gate.leave(ticket, .unknown, at: host.now, random: surroundings.random())
            throw error
        }
        let answer = result.answer
        let refusal =
            answer.status < 400
            ? nil
            : ARMFailure(
                status: answer.status, body: answer.json, retryAfterSeconds: answer.retryAfterSeconds, request: "")
        let news = BudgetNews(answer.response, failure: refusal)
        await gate.leave(ticket, news.answer, at: host.now, random: surroundings.random())
        if news.isOfResourceManager, case .throttled(let wait) = news.answer {
            await budgets.throttled(group, retryAfter: wait, at: host.now, random: surroundings.random())
        }
        return result
    }

    private func ownAddress(
        _ address: String, _ method: String, _ id: ResourceID, _ environment: CloudEnvironment
    ) throws -> String {
        let url = address.hasPrefix("/") ? environment.resourceManager + address : address
        guard url.lowercased().hasPrefix("\(environment.resourceManager.lowercased())/") else {
            // The query of such an address may be a signature.
            let shown = url.split(separator: "?").first.map(String.init) ?? ""
            throw ProviderError(
                .terminal,
                "\(method) \(id.name): the resource manager names the address \(shown), which is not its own; "
                    + "the token is not sent there")
        }
        return url
    }

    private func exchange(
        _ method: String, _ url: String, _ environment: CloudEnvironment, body: JSONValue?, condition: HTTPField?,
        deadline: HostInstant
    ) async throws -> (answer: Answer, token: Secret) {
        guard host.now < deadline else { throw ProviderError(.retry, "the deadline of the call has passed") }
        let limit = min(deadline, host.now.advanced(by: Self.callTimeout))
        let token = try await tokens.authorization(environment, deadline: limit)
        var headers = [
            HTTPField("authorization", token.value), HTTPField("accept", "application/json"),
            HTTPField("user-agent", configuration.userAgent),
        ]
        if body != nil { headers.append(HTTPField("content-type", "application/json")) }
        if let condition { headers.append(condition) }
        let response = try await host.send(
            HTTPRequest(
                method: method, url: url, headers: headers, body: try body?.json() ?? Data(), deadline: limit))
        let json = response.body.isEmpty ? nil : try? JSONValue(json: response.body)
        return (Answer(status: response.status, response: response, json: json), token)
    }

    /// Where the cloud is; found once if the configuration names only the resource manager.
    func environment(deadline: HostInstant) async throws -> CloudEnvironment {
        guard let endpoint = configuration.resourceManagerEndpoint else {
            return CloudEnvironment(configuration, discovered: nil)
        }
        if let discovered { return CloudEnvironment(configuration, discovered: discovered) }
        let response = try await host.send(
            HTTPRequest(
                method: "GET", url: "\(endpoint)/metadata/endpoints?api-version=2019-05-01",
                headers: [HTTPField("accept", "application/json")],
                deadline: min(deadline, host.now.advanced(by: Self.callTimeout))))
        guard response.status == 200, let document = try? JSONValue(json: response.body) else {
            throw ProviderError(.retry, "GET \(endpoint)/metadata/endpoints: status \(response.status)")
        }
        let found = try CloudEnvironment(discovery: document, cloud: configuration.cloud, endpoint: endpoint)
        discovered = found
        return CloudEnvironment(configuration, discovered: found)
    }

    /// Turns Azure's refusals into the host's words; everything else passes.
    func mappingFailures<Value: Sendable>(
        _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        do {
            return try await body()
        } catch let failure as ARMFailure {
            throw failure.providerError
        }
    }
}

/// The waits between tries of one request that met trouble of the service.
struct RetryWaits {
    /// As in azclient, 429 apart, which has its own way (``RequestBudget``).
    static let statuses: Set<Int> = [408, 500, 502, 503, 504]

    private var left: Int
    private var wait: Duration

    init(_ pace: RequestPace) {
        left = pace.retries
        wait = pace.retryBase
    }

    /// The next wait; nil when there was enough.
    mutating func next(_ answer: ARMClient.Answer, _ surroundings: Surroundings) -> Duration? {
        guard left > 0 else { return nil }
        left -= 1
        defer { wait = min(wait * 2, RequestPace.longestRetryWait) }
        let asked = answer.retryAfterSeconds.map { min(.seconds($0), RequestPace.longestRetryWait) } ?? .zero
        return max(wait * (1 + 0.2 * surroundings.random()), asked)
    }
}
