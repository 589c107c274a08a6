import Glibc
import LinuxNet
import ProviderKit
import Synchronization

/// Looks after tunnels between calls: reaps processes that ended with their namespaces, and shakes hands anew where a
/// pod's end sends into silence. One thread, started at the first tunnel, that wakes once a second; it ends with the
/// provider instance.
///
/// Cost for each watched pod end and second: one exchange over the control socket, 0.12 ms of
/// processor time in both processes together.
final class TunnelWatcher: Sendable {
    private struct State {
        var watched: [Key: Entry] = [:]
        var isRunning = false
        var isClosed = false
    }

    private struct Key: Hashable {
        let namespace: String
        let link: String
    }

    private struct Entry {
        let address: TunnelAddress
        var detector: StallDetector
    }

    /// What the thread shares with the watcher; the thread alone does not keep the watcher alive.
    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let shared = Shared()
    private let host: ProviderHost
    private let node: NetworkNamespace
    private let stallSeconds: Int

    init(host: ProviderHost, node: NetworkNamespace, stallSeconds: Int) {
        self.host = host
        self.node = node
        self.stallSeconds = stallSeconds
    }

    deinit {
        shared.state.withLock { $0.isClosed = true }
    }

    /// Watches a pod end from now on.
    func watch(_ address: TunnelAddress) {
        if stallSeconds > 0 {
            let key = Key(namespace: address.namespace.path, link: address.link)
            let entry = Entry(address: address, detector: StallDetector(patience: .seconds(stallSeconds)))
            shared.state.withLock { state in
                if state.watched[key]?.address != address { state.watched[key] = entry }
            }
        }
        start()
    }

    func forget(_ namespace: NetworkNamespace, _ link: String) {
        shared.state.withLock { $0.watched[Key(namespace: namespace.path, link: link)] = nil }
    }

    /// Starts the thread unless it runs.
    func start() {
        let mayStart = shared.state.withLock { state in
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard mayStart else { return }
        let (shared, host) = (shared, host)
        let node = node
        Task.detached {
            do {
                // Gives the loop a thread of its own, which may block.
                try await node.run { Self.loop(shared, host) }
            } catch {
                shared.state.withLock { $0.isRunning = false }
                host.log(.warning, "tunnels are not watched", ["reason": "\(error)"])
            }
        }
    }

    private static func loop(_ shared: Shared, _ host: ProviderHost) {
        while !shared.state.withLock({ $0.isClosed }) {
            for line in UserspaceProcess.reapEnded() {
                host.log(.debug, "a tunnel process ended", ["process": line])
            }
            for (key, entry) in shared.state.withLock({ $0.watched }) {
                look(key, entry, shared, host)
            }
            sleep(1)
        }
    }

    private static func look(_ key: Key, _ entry: Entry, _ shared: Shared, _ host: ProviderHost) {
        do {
            let device = try entry.address.open()
            guard let peer = try device.status().peers.first else { return }
            let now = host.now
            let isDue = shared.state.withLock { state in
                // The entry may have been forgotten or replaced meanwhile.
                guard state.watched[key]?.address == entry.address else { return false }
                return state.watched[key]?.detector.observe(
                    received: peer.receivedBytes, sent: peer.sentBytes, hasSession: peer.lastHandshake != nil,
                    at: now) ?? false
            }
            guard isDue else { return }
            try shakeHands(device, peer)
            host.log(
                .info, "shaking hands anew: the tunnel sends into silence",
                [
                    "namespace": key.namespace, "link": key.link,
                    "endpoint": peer.endpoint.map(\.description) ?? "unknown",
                ])
        } catch let error as LinuxNetError where error.code == .notFound || error.code == .namespaceMissing {
            // The pod is gone, or its process; ensure puts it back.
            shared.state.withLock { state in
                if state.watched[key]?.address == entry.address { state.watched[key] = nil }
            }
        } catch {
            host.log(.debug, "tunnel cannot be watched", ["link": key.link, "reason": "\(error)"])
        }
    }

    /// Drops the session with its keys and asks for a new one at once. Neither form has a command for that; but a peer
    /// that is removed and added in one request has no session, and one whose keepalives are turned on sends one
    /// without delay, for which it needs a session.
    private static func shakeHands(_ device: any WireGuardBackend, _ peer: WireGuardPeerStatus) throws {
        var anew = WireGuardPeer(
            publicKey: peer.publicKey, endpoint: peer.endpoint, allowedIPs: peer.allowedIPs,
            persistentKeepalive: max(peer.persistentKeepalive, 1))
        try device.configure(WireGuardConfiguration(peers: [.remove(peer.publicKey), .set(anew)]))
        guard anew.persistentKeepalive != peer.persistentKeepalive else { return }
        anew.persistentKeepalive = peer.persistentKeepalive
        var change = WireGuardPeerChange(publicKey: peer.publicKey)
        change.updateOnly = true
        change.persistentKeepalive = peer.persistentKeepalive
        try device.configure(WireGuardConfiguration(peers: [change]))
    }
}
