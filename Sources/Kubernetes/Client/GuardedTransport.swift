import FoundationEssentials

/// Lets a guard stop whatever would change something, right before it is sent.
struct GuardedTransport: APITransport {
    let base: any APITransport
    let mayWrite: @Sendable () throws -> Void

    func send(_ request: APIRequest) async throws -> Data {
        if request.method != .get { try mayWrite() }
        return try await base.send(request)
    }

    func open(_ request: APIRequest) async throws -> Chunks { try await base.open(request) }

    func shutdown() async throws { try await base.shutdown() }
}

extension KubernetesClient {
    /// The same client with a guard before each write: leaders bring one that throws once they do not lead any more.
    ///
    /// The guard narrows the time in which an old leader's write can be sent and does not close it: a write that may be
    /// harmful on old state carries a resourceVersion, too.
    ///
    /// - Parameter mayWrite: throws what the caller of a refused write gets. It is called on any thread and must not
    ///   block.
    /// - Returns: a client over the connections of this one. Shut down only one of the two.
    public func guarded(_ mayWrite: @escaping @Sendable () throws -> Void) -> KubernetesClient {
        KubernetesClient(
            transport: GuardedTransport(base: transport, mayWrite: mayWrite), maximumLineBytes: maximumLineBytes,
            logger: logger)
    }
}
