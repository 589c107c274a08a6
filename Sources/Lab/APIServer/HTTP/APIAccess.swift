/// What a request asks for, in the words of Kubernetes' authorizers.
public struct APIAccess: Sendable, Hashable {
    /// get, list, watch, create, update, patch, delete or deletecollection.
    public var verb: String
    /// Empty for the core group.
    public var group: String
    /// Plural, with its subresource behind a slash.
    public var resource: String
    /// Nil for cluster-wide kinds, and for lists over all namespaces.
    public var namespace: String?
    /// Of a list, watch or deletion of a collection, what its field selector pins `metadata.name` to, as RBAC reads it.
    public var name: String?
    /// Of a list, watch or deletion of a collection, as it was sent; empty if there was none.
    public var labelSelector: String
    /// As ``labelSelector``.
    public var fieldSelector: String

    init?(_ request: APIRequest) {
        // Discovery, versions and health are open to every authenticated user (ClusterRole system:discovery).
        guard case .resource(let target) = request.target else { return nil }
        group = target.group
        resource = target.subresource.map { "\(target.plural)/\($0)" } ?? target.plural
        namespace = target.namespace
        labelSelector = request.query["labelSelector"] ?? ""
        fieldSelector = request.query["fieldSelector"] ?? ""
        let selected = try? APIFieldSelector.parse(fieldSelector, supported: ["metadata.name"])
        name = target.name ?? selected?.pinned("metadata.name")
        switch (request.method, target.name) {
        case ("GET", nil): verb = request.query.flag("watch") ? "watch" : "list"
        case ("DELETE", nil): verb = "deletecollection"
        case ("GET", _), ("HEAD", _): verb = "get"
        case ("POST", _): verb = "create"
        case ("PUT", _): verb = "update"
        case ("PATCH", _): verb = "patch"
        case ("DELETE", _): verb = "delete"
        default: verb = request.method.lowercased()
        }
    }
}

extension EmbeddedAPIServer {
    /// A unix socket on which every request is asked about first: for programs that shall have no more rights than their
    /// RBAC rules give them. It authorises; it does not authenticate.
    public struct GuardedSocket: Sendable {
        /// As ``Configuration/unixSocketPath``.
        public var path: String
        /// Called on any thread, once per request.
        public var allows: @Sendable (APIAccess) -> Bool

        public init(path: String, allows: @escaping @Sendable (APIAccess) -> Bool) {
            self.path = path
            self.allows = allows
        }
    }
}
