import NIOHTTP1
import Synchronization

/// What the load balancer's health probes are told (upstream behaviour section 4.5). Any thread.
final class ProbeState: Sendable {
    private struct State {
        var active: Set<String> = []
        var isDraining = false
    }

    private let state = Mutex(State())

    /// UIDs of the configurations that this node serves now.
    func setActive(_ uids: Set<String>) { state.withLock { $0.active = uids } }

    /// From now on every configuration is reported as not served.
    func drain() { state.withLock { $0.isDraining = true } }

    var active: Set<String> { state.withLock { $0.active } }

    /// The answer to a request for `target`: 200 served here, 503 not served here, 400 malformed, 404 another path.
    func answer(_ target: String) -> HTTPResponseStatus {
        let path = target.prefix { $0 != "?" }
        guard path.hasPrefix("/gw/") else { return .notFound }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return .badRequest }
        return state.withLock { !$0.isDraining && $0.active.contains(String(parts[2])) } ? .ok : .serviceUnavailable
    }
}
