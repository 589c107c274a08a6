import CoreMetrics
import JSONModel
import Kubernetes
import Logging

/// What an elector needs of the API server; errors are ``KubernetesError``.
public protocol LeaseAccess: Sendable {
    /// The Lease, or nil if there is none.
    func read() async throws -> Lease?
    /// Creates the Lease; `alreadyExists` if another process was faster.
    func create(_ spec: LeaseSpec) async throws
    /// Replaces the spec; `conflict` unless the stored version is the one given.
    func write(_ spec: LeaseSpec, resourceVersion: String) async throws
    /// Tells of the Lease as it is and whenever it changes, nil when it is gone, until the task is cancelled. It may fall
    /// silent while the server is out of reach, and says nothing of that; states may be told late, and left out.
    func follow(_ tell: @escaping @Sendable (LeaseSpec?) -> Void) async
}

/// A Lease on an API server.
public struct ClientLeaseAccess: LeaseAccess {
    private let client: KubernetesClient
    private let namespace: String
    private let name: String
    private let logger: Logger
    private let environment: ReconcileEnvironment

    /// Names the Lease; nothing is read.
    ///
    /// - Parameter environment: clock and randomness of the waits between failures of the watch.
    public init(
        client: KubernetesClient, namespace: String, name: String, logger: Logger,
        environment: ReconcileEnvironment = ReconcileEnvironment()
    ) {
        self.client = client
        self.namespace = namespace
        self.name = name
        self.logger = logger
        // Only a standby follows, so the age of the last event would stand for ever on a leader.
        var environment = environment
        environment.metrics = NOOPMetricsHandler.instance
        self.environment = environment
    }

    public func read() async throws -> Lease? {
        do {
            return try await client.get(Lease.self, namespace: namespace, name: name)
        } catch let error as KubernetesError where error.code == .notFound {
            return nil
        }
    }

    public func create(_ spec: LeaseSpec) async throws {
        try await client.create(Lease(metadata: ObjectMeta(name: name, namespace: namespace), spec: spec))
    }

    public func write(_ spec: LeaseSpec, resourceVersion: String) async throws {
        let patch: JSONValue = ["spec": try JSONValue(encoding: spec)]
        try await client.mergePatch(
            Lease.self, namespace: namespace, name: name, patch: patch, resourceVersion: resourceVersion)
    }

    public func follow(_ tell: @escaping @Sendable (LeaseSpec?) -> Void) async {
        let (changes, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        // RBAC takes the selector for a name, so a right to this one Lease is enough.
        let reflector = Reflector(
            Lease.self, client: client, scope: ListScope(namespace: namespace, fieldSelector: "metadata.name=\(name)"),
            logger: logger, environment: environment
        ) { _ in signal.yield() }
        await withTaskGroup(of: Void.self) { group in
            // It ends by cancellation alone; every fault is waited out.
            group.addTask { try? await reflector.run() }
            for await _ in changes { tell(reflector.store[ObjectKey(namespace: namespace, name: name)]?.spec) }
            group.cancelAll()
        }
    }
}
