import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The API version that each resource is read and written at.
public enum APIVersion {
    public static let network = "2025-05-01"
    public static let compute = "2025-04-01"
    /// Network interfaces seen through a scale set.
    public static let scaleSetNetwork = "2018-10-01"
}

/// A resource as it was read: its body, and the etag to write it back with.
public struct ARMResource: Sendable, Equatable {
    public var body: JSONValue
    public var etag: String?

    public init(body: JSONValue, etag: String? = nil) {
        self.body = body
        self.etag = etag ?? body["etag"]?.text
    }
}

/// Reads and writes of Azure Resource Manager, through the host's HTTP service. Opens no socket of its own.
///
/// Every write carries If-Match where an etag is known, and returns when its long-running operation has ended. All
/// functions throw ``ProviderError``, mapped by ``ErrorTable``.
public actor ARMClient {
    public nonisolated let configuration: CloudConfiguration
    let host: ProviderHost
    private let tokens: TokenSource
    private var environment: CloudEnvironment?

    /// Longest wait for one answer; ARM gives up on a call after 60 s.
    private static let callTimeout = Duration.seconds(60)
    private static let maximumPages = 100

    public init(host: ProviderHost, configuration: CloudConfiguration) {
        self.host = host
        self.configuration = configuration
        tokens = TokenSource(host: host, credential: configuration.credential, userAgent: configuration.userAgent)
        environment = configuration.resourceManagerEndpoint == nil ? .named(configuration.cloud) : nil
    }

    /// The resource, or nil if there is none. A missing resource group or subscription is an error.
    public func get(_ id: ResourceID, version: String, deadline: HostInstant) async throws -> ARMResource? {
        try await mappingFailures {
            let answer = try await self.send("GET", "\(id)?api-version=\(version)", id, deadline: deadline)
            if ErrorTable.meansAbsent(self.failure(answer, "GET", id)) { return nil }
            guard answer.status == 200, let body = answer.json else { throw self.failure(answer, "GET", id) }
            return ARMResource(body: body, etag: answer.header("etag"))
        }
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
    /// - Parameter etag: what the resource must still be; nil: whatever it is.
    /// - Returns: the resource as it is afterwards.
    public func put(
        _ id: ResourceID, _ body: JSONValue, version: String, etag: String?, deadline: HostInstant
    ) async throws -> ARMResource {
        try await mappingFailures {
            let answer = try await self.send(
                "PUT", "\(id)?api-version=\(version)", id, body: body, etag: etag, deadline: deadline)
            guard [200, 201, 202].contains(answer.status) else { throw self.failure(answer, "PUT", id) }
            try await self.finish(answer, "PUT", id, version: version, deadline: deadline)
            let after = try await self.send("GET", "\(id)?api-version=\(version)", id, deadline: deadline)
            guard after.status == 200, let result = after.json else { throw self.failure(after, "GET", id) }
            return ARMResource(body: result, etag: after.header("etag"))
        }
    }

    /// Deletes a resource and waits for the operation; one that is not there counts as deleted.
    public func delete(_ id: ResourceID, version: String, etag: String?, deadline: HostInstant) async throws {
        try await mappingFailures {
            let answer = try await self.send(
                "DELETE", "\(id)?api-version=\(version)", id, etag: etag, deadline: deadline)
            guard [200, 202, 204, 404].contains(answer.status) else { throw self.failure(answer, "DELETE", id) }
            if answer.status == 202 {
                try await self.finish(answer, "DELETE", id, version: version, deadline: deadline)
            }
        }
    }

    // MARK: - One exchange

    /// An answer, its body read.
    struct Answer: Sendable {
        let status: Int
        let response: HTTPResponse
        let json: JSONValue?

        func header(_ name: String) -> String? { response.header(name) }
        /// At most an hour, whatever the server says.
        var retryAfterSeconds: Int? { header("retry-after").flatMap(Int.init).map { min(max($0, 0), 3600) } }
    }

    nonisolated func failure(_ answer: Answer, _ method: String, _ id: ResourceID) -> ARMFailure {
        ARMFailure(
            status: answer.status, body: answer.json, retryAfterSeconds: answer.retryAfterSeconds,
            request: "\(method) \(id.path.joined(separator: "/"))")
    }

    /// Sends a request with a token; a refused token is replaced once.
    ///
    /// - Parameter address: a path, or an absolute URL that the resource manager handed out.
    func send(
        _ method: String, _ address: String, _ id: ResourceID, body: JSONValue? = nil, etag: String? = nil,
        deadline: HostInstant
    ) async throws -> Answer {
        let environment = try await environment(deadline: deadline)
        let url = address.hasPrefix("/") ? environment.resourceManager + address : address
        guard url.lowercased().hasPrefix("\(environment.resourceManager.lowercased())/") else {
            throw ProviderError(
                .terminal,
                "\(method) \(id.name): the resource manager names the address \(url), which is not its own; "
                    + "the token is not sent there")
        }
        let first = try await exchange(method, url, environment, body: body, etag: etag, deadline: deadline)
        guard first.answer.status == 401 else { return first.answer }
        await tokens.invalidate(first.token)
        return try await exchange(method, url, environment, body: body, etag: etag, deadline: deadline).answer
    }

    private func exchange(
        _ method: String, _ url: String, _ environment: CloudEnvironment, body: JSONValue?, etag: String?,
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
        if let etag { headers.append(HTTPField("if-match", etag)) }
        let response = try await host.send(
            HTTPRequest(
                method: method, url: url, headers: headers, body: try body?.json() ?? Data(), deadline: limit))
        let json = response.body.isEmpty ? nil : try? JSONValue(json: response.body)
        return (Answer(status: response.status, response: response, json: json), token)
    }

    /// Where the cloud is; found once if the configuration names only the resource manager.
    private func environment(deadline: HostInstant) async throws -> CloudEnvironment {
        if let environment { return environment }
        let endpoint = configuration.resourceManagerEndpoint ?? ""
        let response = try await host.send(
            HTTPRequest(
                method: "GET", url: "\(endpoint)/metadata/endpoints?api-version=2019-05-01",
                headers: [HTTPField("accept", "application/json")],
                deadline: min(deadline, host.now.advanced(by: Self.callTimeout))))
        guard response.status == 200, let document = try? JSONValue(json: response.body) else {
            throw ProviderError(.retry, "GET \(endpoint)/metadata/endpoints: status \(response.status)")
        }
        let found = try CloudEnvironment(discovery: document, cloud: configuration.cloud, endpoint: endpoint)
        environment = found
        return found
    }

    /// Turns Azure's refusals into the host's words; everything else passes.
    private func mappingFailures<Value: Sendable>(
        _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        do {
            return try await body()
        } catch let failure as ARMFailure {
            throw failure.providerError
        }
    }
}
