import CoreMetrics
import FoundationEssentials
import JSONModel
import Logging

/// A part of an object that is written by itself.
public enum Subresource: String, Sendable {
    /// Observed state; the object's `spec` cannot be changed through it.
    case status
}

/// Selects objects on the server. All given conditions must hold.
public struct ListScope: Sendable, Hashable {
    /// Namespace; nil: all.
    public var namespace: String?
    /// Label selector, such as `app=web`.
    public var labelSelector: String?
    /// Field selector, such as `spec.nodeName=worker-1`.
    public var fieldSelector: String?

    /// The default selects everything.
    public init(namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil) {
        self.namespace = namespace
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
    }
}

/// Typed requests to one API server.
///
/// Every method throws ``KubernetesError``, or `CancellationError` when its task was cancelled. None repeats a request,
/// except once after a 401 when a token file has a newer token. Any task may call any method.
public final class KubernetesClient: Sendable {
    let transport: any APITransport
    let maximumLineBytes: Int
    let logger: Logger

    /// Makes a client; no connection is opened yet. The maker calls ``shutdown()`` before the last reference goes.
    ///
    /// - Parameter metrics: keeps the count of requests.
    /// - Throws: ``KubernetesError`` with code `configuration` for certificates that cannot be used.
    public convenience init(
        configuration: ClientConfiguration, logger: Logger, metrics: any MetricsFactory = MetricsSystem.factory
    ) throws {
        self.init(
            transport: try HTTPTransport(configuration, metrics: metrics),
            maximumLineBytes: configuration.maximumLineBytes, logger: logger)
    }

    /// Makes a client over another way to an API server; the client shuts it down.
    ///
    /// - Parameter maximumLineBytes: longest line of a watch.
    public init(transport: any APITransport, maximumLineBytes: Int = 8 * 1024 * 1024, logger: Logger) {
        self.transport = transport
        self.maximumLineBytes = maximumLineBytes
        self.logger = logger
    }

    /// Closes all connections; running requests and watches fail. Call it once.
    public func shutdown() async throws {
        try await transport.shutdown()
    }

    /// Reads one object.
    public func get<Resource: KubernetesResource>(
        _ type: Resource.Type, namespace: String = "", name: String
    ) async throws -> Resource {
        let path = try RequestPath(Resource.resourceType, namespace: namespace, name: name)
        return try await send(APIRequest(method: .get, path: path.text))
    }

    /// Reads all objects in scope, page by page; memory holds all of them in the end.
    ///
    /// A continue token that expires on the way starts the list anew, twice at most.
    public func list<Resource: KubernetesResource>(
        _ type: Resource.Type, namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil
    ) async throws -> ResourceList<Resource> {
        let scope = ListScope(namespace: namespace, labelSelector: labelSelector, fieldSelector: fieldSelector)
        for _ in 0..<2 {
            do {
                return try await listOnce(type, scope)
            } catch let error as KubernetesError where error.code == .gone {
                logger.debug("list expired between pages", metadata: ["kind": .string(Resource.resourceType.kind)])
            }
        }
        return try await listOnce(type, scope)
    }

    private func listOnce<Resource: KubernetesResource>(
        _ type: Resource.Type, _ scope: ListScope
    ) async throws -> ResourceList<Resource> {
        var result = ResourceList<Resource>(items: [], resourceVersion: "")
        var token: String?
        repeat {
            let page = try await listPage(type, scope: scope, continueToken: token)
            result.items += page.list.items
            result.undecodable += page.list.undecodable
            result.resourceVersion = page.list.resourceVersion
            token = page.continueToken
        } while token != nil
        return result
    }

    /// One page of a list.
    public struct Page<Resource: KubernetesResource>: Sendable {
        /// What the page holds.
        public var list: ResourceList<Resource>
        /// Asks for the next page; nil on the last.
        public var continueToken: String?
    }

    /// Reads one page; for ``ListWatchMachine``'s drivers.
    ///
    /// - Parameters:
    ///   - limit: objects per page the server should give at most.
    ///   - continueToken: from the page before; nil starts a list.
    public func listPage<Resource: KubernetesResource>(
        _ type: Resource.Type, scope: ListScope, limit: Int = ListWatchMachine.pageLimit,
        continueToken: String? = nil
    ) async throws -> Page<Resource> {
        var path = try RequestPath(Resource.resourceType, namespace: scope.namespace)
        path.add("labelSelector", scope.labelSelector)
        path.add("fieldSelector", scope.fieldSelector)
        path.add("limit", String(limit))
        path.add("continue", continueToken)
        let request = APIRequest(method: .get, path: path.text)
        let data = try await transport.send(request)
        var plain = PlainAnswers<Resource>()
        let page = try plain.page(data) ?? decode(ListPage<Resource>.self, from: data, request)
        let token = page.metadata.continueToken
        return Page(
            list: ResourceList(
                items: page.items, resourceVersion: page.metadata.resourceVersion, undecodable: page.undecodable),
            continueToken: token.isEmpty ? nil : token)
    }

    /// Stores a new object; the answer carries uid and resourceVersion.
    @discardableResult
    public func create<Resource: KubernetesResource>(_ object: Resource) async throws -> Resource {
        let path = try RequestPath(Resource.resourceType, namespace: try requiredNamespace(object))
        return try await send(
            APIRequest(method: .post, path: path.text, body: try KubernetesJSON.encode(object)))
    }

    /// Replaces the whole object. With a resourceVersion in its metadata it is refused (`conflict`) if the stored one
    /// changed since. Fields this project does not type are lost; a merge patch keeps them.
    @discardableResult
    public func update<Resource: KubernetesResource>(_ object: Resource) async throws -> Resource {
        try await put(object, subresource: nil)
    }

    /// Replaces the object's status; everything else in it is ignored by the server.
    @discardableResult
    public func updateStatus<Resource: KubernetesResource>(_ object: Resource) async throws -> Resource {
        try await put(object, subresource: .status)
    }

    private func put<Resource: KubernetesResource>(
        _ object: Resource, subresource: Subresource?
    ) async throws -> Resource {
        let path = try RequestPath(
            Resource.resourceType, namespace: object.metadata.namespace, name: object.metadata.name,
            subresource: subresource?.rawValue)
        return try await send(
            APIRequest(method: .put, path: path.text, body: try KubernetesJSON.encode(object)))
    }

    /// Changes the fields that the patch names (RFC 7386): null removes, lists are replaced whole, unknown fields stay.
    ///
    /// - Parameters:
    ///   - patch: any JSON object, usually a ``JSONValue``.
    ///   - resourceVersion: refuse with `conflict` unless this is the stored version; put into the patch's metadata.
    ///   - subresource: `.status` writes observed state.
    @discardableResult
    public func mergePatch<Resource: KubernetesResource>(
        _ type: Resource.Type, namespace: String = "", name: String, patch: some Encodable,
        resourceVersion: String? = nil, subresource: Subresource? = nil
    ) async throws -> Resource {
        let path = try RequestPath(
            Resource.resourceType, namespace: namespace, name: name, subresource: subresource?.rawValue)
        var body = try KubernetesJSON.encode(patch: patch)
        if let resourceVersion {
            guard case .object(var members) = try KubernetesJSON.decode(JSONValue.self, from: body) else {
                throw KubernetesError(.badRequest, "patch of \(name): is no JSON object; allowed: an object")
            }
            var metadata: [String: JSONValue] = [:]
            if case .object(let given)? = members["metadata"] { metadata = given }
            metadata["resourceVersion"] = .string(resourceVersion)
            members["metadata"] = .object(metadata)
            body = try KubernetesJSON.encode(patch: JSONValue.object(members))
        }
        return try await send(
            APIRequest(
                method: .patch, path: path.text, body: body, contentType: "application/merge-patch+json"))
    }

    /// Gives a pod that has no node its node (`core/v1.Binding`), as schedulers do; servers take it in no other way.
    public func bind(pod name: String, namespace: String, to node: String) async throws {
        let path = try RequestPath(Pod.resourceType, namespace: namespace, name: name, subresource: "binding")
        let binding: JSONValue = [
            "apiVersion": "v1", "kind": "Binding",
            "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "target": ["apiVersion": "v1", "kind": "Node", "name": .string(node)],
        ]
        let body = try KubernetesJSON.encode(patch: binding)
        _ = try await transport.send(APIRequest(method: .post, path: path.text, body: body))
    }

    /// Makes the object have the fields of a configuration, and lose those that the same manager applied before and left
    /// out now (server-side apply). Fields of others stay; one that both want is a `conflict` unless forced.
    ///
    /// - Parameters:
    ///   - configuration: the fields this manager answers for, and no others.
    ///   - fieldManager: the same for every apply of one writer.
    ///   - force: takes over fields that others own.
    @discardableResult
    public func apply<Resource: KubernetesResource>(
        _ type: Resource.Type, namespace: String = "", name: String, configuration: JSONValue, fieldManager: String,
        force: Bool = false, subresource: Subresource? = nil
    ) async throws -> Resource {
        var path = try RequestPath(
            Resource.resourceType, namespace: namespace, name: name, subresource: subresource?.rawValue)
        path.add("fieldManager", fieldManager)
        path.add("force", force ? "true" : nil)
        var body = configuration
        body["apiVersion"] = .string(Resource.resourceType.apiVersion)
        body["kind"] = .string(Resource.resourceType.kind)
        body["metadata.name"] = .string(name)
        if !namespace.isEmpty { body["metadata.namespace"] = .string(namespace) }
        // JSON is YAML; servers know no other media type for this.
        return try await send(
            APIRequest(
                method: .patch, path: path.text, body: try KubernetesJSON.encode(patch: body),
                contentType: "application/apply-patch+yaml"))
    }

    /// Asks for the deletion of one object; with finalizers left it is only marked.
    ///
    /// - Parameters:
    ///   - uid: refuse with `conflict` if the object of that name is another one.
    ///   - resourceVersion: refuse with `conflict` if the object changed.
    ///   - gracePeriodSeconds: time a pod is given to end; 0 removes it now, as a node's agent does. Nil: the default.
    public func delete<Resource: KubernetesResource>(
        _ type: Resource.Type, namespace: String = "", name: String, uid: String? = nil,
        resourceVersion: String? = nil, gracePeriodSeconds: Int64? = nil
    ) async throws {
        let path = try RequestPath(Resource.resourceType, namespace: namespace, name: name)
        var preconditions: [String: JSONValue] = [:]
        if let uid { preconditions["uid"] = .string(uid) }
        if let resourceVersion { preconditions["resourceVersion"] = .string(resourceVersion) }
        var body: Data?
        var options: [String: JSONValue] = [:]
        if !preconditions.isEmpty { options["preconditions"] = .object(preconditions) }
        if let gracePeriodSeconds { options["gracePeriodSeconds"] = .integer(gracePeriodSeconds) }
        if !options.isEmpty {
            options["apiVersion"] = "v1"
            options["kind"] = "DeleteOptions"
            body = try KubernetesJSON.encode(patch: JSONValue.object(options))
        }
        // The answer is the object or a Status; both only say that it was accepted.
        _ = try await transport.send(APIRequest(method: .delete, path: path.text, body: body))
    }

    /// Follows changes from a version on. The sequence ends when the server ends it; an ERROR event, a broken
    /// connection and silence longer than the idle time-out throw.
    ///
    /// - Parameters:
    ///   - resourceVersion: from a list, an event or a bookmark.
    ///   - timeoutSeconds: when the server should end the watch.
    public func watch<Resource: KubernetesResource>(
        _ type: Resource.Type, namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil,
        resourceVersion: String, timeoutSeconds: Int = 300
    ) async throws -> WatchEvents<Resource> {
        var path = try RequestPath(Resource.resourceType, namespace: namespace)
        path.add("watch", "true")
        path.add("allowWatchBookmarks", "true")
        path.add("resourceVersion", resourceVersion)
        path.add("timeoutSeconds", String(timeoutSeconds))
        path.add("labelSelector", labelSelector)
        path.add("fieldSelector", fieldSelector)
        let request = APIRequest(method: .get, path: path.text)
        let chunks = try await transport.open(request)
        return WatchEvents(chunks: chunks, request: request, maximumLineBytes: maximumLineBytes)
    }

    /// Asks for all objects in scope as ``WatchEvent/added(_:)`` events, ended by ``WatchEvent/initialEventsEnd``.
    ///
    /// A server that does not know the request refuses it, or answers with a watch that never ends its first events: ask
    /// ``streamsLists()`` before, and be ready for both.
    public func streamList<Resource: KubernetesResource>(
        _ type: Resource.Type, scope: ListScope, timeoutSeconds: Int = ListWatchMachine.streamSeconds
    ) async throws -> WatchEvents<Resource> {
        var path = try RequestPath(Resource.resourceType, namespace: scope.namespace)
        path.add("watch", "true")
        path.add("sendInitialEvents", "true")
        path.add("resourceVersionMatch", "NotOlderThan")
        path.add("allowWatchBookmarks", "true")
        path.add("timeoutSeconds", String(timeoutSeconds))
        path.add("labelSelector", scope.labelSelector)
        path.add("fieldSelector", scope.fieldSelector)
        let request = APIRequest(method: .get, path: path.text)
        return WatchEvents(
            chunks: try await transport.open(request), request: request, maximumLineBytes: maximumLineBytes)
    }

    /// Whether the server's version says that it streams lists: 1.32 is the first that does without being told
    /// (Kubernetes feature gate WatchList). False if it cannot be asked.
    public func streamsLists() async -> Bool {
        struct Version: Decodable {
            var major: String
            var minor: String
        }
        guard let version: Version = try? await send(APIRequest(method: .get, path: "/version")),
            let major = Int(version.major), let minor = Int(version.minor.prefix { $0.isNumber })
        else { return false }
        return (major, minor) >= (1, 32)
    }

    private func send<Answer: Decodable>(_ request: APIRequest) async throws -> Answer {
        try decode(Answer.self, from: try await transport.send(request), request)
    }

    private func decode<Answer: Decodable>(
        _ type: Answer.Type, from data: Data, _ request: APIRequest
    ) throws -> Answer {
        do {
            return try KubernetesJSON.decode(Answer.self, from: data)
        } catch {
            // JSON of another shape is an object problem; anything else did not come from an API server.
            let isObject = data.first { !" \t\r\n".utf8.contains($0) } == UInt8(ascii: "{")
            guard isObject else {
                throw KubernetesError(
                    .unexpectedResponse, "\(request.label): expected JSON, got \"\(BodyExcerpt.text(data))\"")
            }
            throw KubernetesError(.undecodable, "\(request.label): \(DecodingReason.text(error))", cause: error)
        }
    }

    private func requiredNamespace<Resource: KubernetesResource>(_ object: Resource) throws -> String {
        let namespace = object.metadata.namespace
        guard !Resource.resourceType.namespaced || !namespace.isEmpty else {
            throw KubernetesError(
                .badRequest,
                "\(Resource.resourceType.kind) \"\(object.metadata.name)\": metadata.namespace is empty; name one"
            )
        }
        return namespace
    }
}
