import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOSSL
import Synchronization

/// The connections to one server.
///
/// Connections belong to a generation. A new one begins when the client certificate is another one, because connections
/// are authenticated once; and when an HTTP/2 connection fell silent, because all requests share it and nothing closes
/// it: over HTTP/1.1 a time-out does. An old generation ends with its last request.
final class ConnectionPools: Sendable {
    /// Generations that may still have requests; one more closes the oldest with its requests. A watch ends after ten
    /// minutes at most, so only a certificate that changes every few minutes comes near this.
    private static let maximumRetired = 4

    private struct State {
        var current: Generation?
        /// Replaced ones with requests, oldest first.
        var retired: [Generation] = []
        var isShutDown = false
    }

    private let configuration: ClientConfiguration
    private let state = Mutex(State())

    /// - Throws: ``KubernetesError`` with code `configuration` for certificates that cannot be used.
    init(_ configuration: ClientConfiguration) throws {
        self.configuration = configuration
        var certificate: ClientCertificate?
        if let chain = configuration.clientCertificate, let key = configuration.clientKey {
            certificate = ClientCertificate(chain: chain, key: key)
        }
        // No connection is opened; this only tells now what would be wrong later.
        _ = try configuration.tls(certificate)
    }

    /// Connections for one request. They stay open until the lease is dropped.
    ///
    /// - Throws: ``KubernetesError`` for a certificate that cannot be used, and after ``shutdown()``.
    func lease(_ certificate: ClientCertificate?) throws -> ConnectionLease {
        let (lease, ended) = try state.withLock { state -> (ConnectionLease, [Generation]) in
            guard !state.isShutDown else { throw KubernetesError(.unavailable, "the client is shut down") }
            if let current = state.current, current.certificate == certificate {
                current.leases.add(1, ordering: .relaxed)
                return (ConnectionLease(current, self), [])
            }
            let fresh = try Generation(configuration, certificate)
            fresh.leases.add(1, ordering: .relaxed)
            let ended = retireCurrent(&state)
            state.current = fresh
            return (ConnectionLease(fresh, self), ended)
        }
        close(ended)
        return lease
    }

    /// Closes all connections; running requests fail. Called once.
    func shutdown() async throws {
        let all = state.withLock { state in
            state.isShutDown = true
            defer {
                state.current = nil
                state.retired = []
            }
            return state.retired + (state.current.map { [$0] } ?? [])
        }
        for generation in all { try await generation.shutdown() }
    }

    /// Has new requests use new connections, unless that was done or these are too young to tell.
    fileprivate func replace(_ generation: Generation) {
        let ended = state.withLock { state -> [Generation] in
            guard state.current === generation, ContinuousClock.now - generation.begin >= configuration.requestTimeout
            else { return [] }
            return retireCurrent(&state)
        }
        close(ended)
    }

    /// The end of a lease.
    fileprivate func release(_ generation: Generation) {
        let isLast = state.withLock { state in
            let left = generation.leases.subtract(1, ordering: .relaxed).newValue
            guard left == 0, let index = state.retired.firstIndex(where: { $0 === generation }) else { return false }
            state.retired.remove(at: index)
            return true
        }
        if isLast { close([generation]) }
    }

    /// - Returns: the generations that are to be closed now.
    private func retireCurrent(_ state: inout State) -> [Generation] {
        guard let current = state.current else { return [] }
        state.current = nil
        guard current.leases.load(ordering: .relaxed) > 0 else { return [current] }
        state.retired.append(current)
        return state.retired.count > Self.maximumRetired ? [state.retired.removeFirst()] : []
    }

    private func close(_ generations: [Generation]) {
        guard !generations.isEmpty else { return }
        Task { for generation in generations { try? await generation.shutdown() } }
    }
}

/// Two connection pools, because a watch may be silent for minutes and an ordinary request may not.
private final class Generation: Sendable {
    let certificate: ClientCertificate?
    let requests: HTTPClient
    let watches: HTTPClient
    let begin = ContinuousClock.now
    /// Requests and streams under way; changed under the lock of the pools.
    let leases = Atomic(0)
    let hasHTTP2 = Atomic(false)

    init(_ configuration: ClientConfiguration, _ certificate: ClientCertificate?) throws {
        self.certificate = certificate
        let tls = try configuration.tls(certificate)
        requests = HTTPClient(
            eventLoopGroupProvider: .singleton,
            configuration: Self.pool(configuration, tls, readTimeout: configuration.requestTimeout))
        watches = HTTPClient(
            eventLoopGroupProvider: .singleton,
            configuration: Self.pool(configuration, tls, readTimeout: configuration.watchIdleTimeout))
    }

    func shutdown() async throws {
        try await watches.shutdown()
        try await requests.shutdown()
    }

    private static func pool(
        _ configuration: ClientConfiguration, _ tls: TLSConfiguration, readTimeout: Duration
    ) -> HTTPClient.Configuration {
        var pool = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(connect: TimeAmount(configuration.connectTimeout), read: TimeAmount(readTimeout)))
        // HTTP/2 where the server offers it (RFC 7301).
        pool.httpVersion = .automatic
        // Every watch holds a connection of HTTP/1.1; the library's default of 8 would starve the ninth for ever.
        pool.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 128
        // The callers above have a backoff of their own.
        pool.connectionPool.retryConnectionEstablishment = false
        return pool
    }
}

/// The right to use some connections, until it is dropped.
final class ConnectionLease: Sendable {
    private let generation: Generation
    private let pools: ConnectionPools

    fileprivate init(_ generation: Generation, _ pools: ConnectionPools) {
        self.generation = generation
        self.pools = pools
    }

    deinit { pools.release(generation) }

    /// For requests that are answered at once.
    var requests: HTTPClient { generation.requests }
    /// For streams.
    var watches: HTTPClient { generation.watches }

    /// Says over which version of HTTP an answer came.
    func note(_ version: HTTPVersion) {
        if version.major == 2 { generation.hasHTTP2.store(true, ordering: .relaxed) }
    }

    /// Says that nothing came in the time allowed.
    func fellSilent() {
        if generation.hasHTTP2.load(ordering: .relaxed) { pools.replace(generation) }
    }
}

extension ClientConfiguration {
    fileprivate func tls(_ certificate: ClientCertificate?) throws -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        do {
            if insecureSkipTLSVerify { tls.certificateVerification = .none }
            if let certificateAuthority {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(certificateAuthority))
            }
            if let certificate {
                tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(certificate.chain).map { .certificate($0) }
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: certificate.key, format: .pem))
            }
        } catch {
            throw KubernetesError(
                .configuration, "certificate-authority, client-certificate or client-key is no PEM; allowed: PEM",
                cause: error)
        }
        return tls
    }
}
