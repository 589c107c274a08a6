import Foundation
import Lab
import ProviderKit
import Synchronization

/// A host for providers whose clock is virtual and whose cloud is the simulator, without a socket between them. Every
/// call is kept, so that figures are counted at the client's end.
public final class VirtualHost: HostServices {
    /// A call that was made.
    public struct Call: Sendable {
        public var time: Duration
        public var method: String
        public var url: String
        public var status: Int

        /// Of the resource manager: neither tokens nor discovery.
        public var isOfResources: Bool { url.contains("/subscriptions/") }
        public var isRead: Bool { method == "GET" }
    }

    /// Sees a request before the cloud does; an answer in its place keeps it from the cloud.
    public typealias Layer = @Sendable (HTTPRequest, _ now: Duration) -> HTTPResponse?

    /// Sees an answer of the cloud before the caller does, and may change it.
    public typealias Filter = @Sendable (HTTPRequest, HTTPResponse) -> HTTPResponse

    private let simulator: AzureSimulator
    private let clock: VirtualClock
    private let layer = Mutex<Layer?>(nil)
    private let filter = Mutex<Filter?>(nil)
    private let made = Mutex<[Call]>([])

    public init(simulator: AzureSimulator, clock: VirtualClock) {
        self.simulator = simulator
        self.clock = clock
    }

    /// Calls in the order of their answers.
    public var calls: [Call] { made.withLock { $0 } }

    public func setLayer(_ new: Layer?) { layer.withLock { $0 = new } }
    public func setFilter(_ new: Filter?) { filter.withLock { $0 = new } }

    public func now() -> HostInstant { HostInstant(nanoseconds: 0).advanced(by: clock.now.offset) }

    public func sleep(for duration: Duration) async throws { try await clock.sleep(for: duration) }

    public func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {}
    public func isLogEnabled(_ level: LogLevel) -> Bool { false }
    public func record(_ kind: MetricKind, _ name: String, _ labels: [String: String], _ value: Double) throws {}
    public func tell(_ severity: EventSeverity, item: String, reason: String, message: String) throws {}

    public func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        let response: HTTPResponse
        if let answer = layer.withLock({ $0?(request, clock.now.offset) }) {
            response = answer
        } else {
            do {
                let answer = try await simulator.exchange(
                    request.method, request.url, headers: request.headers.map { ($0.name, $0.value) },
                    body: request.body)
                let whole = HTTPResponse(
                    status: answer.status, headers: answer.headers.map { HTTPField($0.name, $0.value) },
                    body: answer.body)
                response = filter.withLock { $0?(request, whole) } ?? whole
            } catch {
                throw ProviderError(.retry, "no response: \(error)")
            }
        }
        made.withLock {
            $0.append(
                Call(time: clock.now.offset, method: request.method, url: request.url, status: response.status))
        }
        return response
    }
}

/// A process that uses a host, and can die: from then on it reaches nothing any more, and what it waits for never comes
/// to it. What the cloud was told before goes on there.
final class HostProcess: HostServices {
    private let host: VirtualHost
    private let isDead = Mutex(false)

    init(_ host: VirtualHost) {
        self.host = host
    }

    func die() { isDead.withLock { $0 = true } }

    func now() -> HostInstant { host.now() }
    func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {}
    func isLogEnabled(_ level: LogLevel) -> Bool { false }
    func record(_ kind: MetricKind, _ name: String, _ labels: [String: String], _ value: Double) throws {}
    func tell(_ severity: EventSeverity, item: String, reason: String, message: String) throws {}

    func sleep(for duration: Duration) async throws {
        try checkLife()
        try await host.sleep(for: duration)
        try checkLife()
    }

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        try checkLife()
        let response = try await host.send(request)
        try checkLife()
        return response
    }

    private func checkLife() throws {
        if isDead.withLock({ $0 }) { throw ProviderError(.cancelled, "the process has died") }
    }
}
