import FoundationEssentials
import ProviderKit
import Synchronization

/// Tunnels that exist in memory only. Its work is as little as `tunnel/1` allows, so that what a call costs is the cost
/// of the way to it.
public final class MemoryTunnelProvider: Provider, CapabilityProvider {
    public typealias Contract = Tunnel

    public static let descriptor = ProviderDescriptor(
        name: "MemoryTunnel", version: "1.0.0", kind: .tunnel, capabilities: [Tunnel.identifier])

    private struct End {
        var desired: Tunnel.Desired
        /// Allowed addresses by the public key of the peer.
        var routes: [String: [String]]
    }

    private let ends = Mutex<[String: End]>([:])

    public init(host: ProviderHost, configuration: Data) throws {}

    public var capabilities: [CapabilityBinding] { [CapabilityBinding(self)] }

    public func ensure(
        _ items: [Tunnel.Desired], _ context: CallContext
    ) async throws -> [ItemResult<Tunnel.Observed>] {
        items.map { item in
            let peers = item.gateway?.peers ?? []
            let routes = Dictionary(peers.map { ($0.publicKey, $0.allowedIPs) }) { _, last in last }
            ends.withLock { $0[item.id] = End(desired: item, routes: routes) }
            return .ok(item.id, Self.observed(item))
        }
    }

    public func remove(
        _ items: [Tunnel.Reference], _ context: CallContext
    ) async throws -> [ItemResult<Nothing>] {
        ends.withLock { ends in for item in items { ends[item.id] = nil } }
        return items.map { .ok($0.id) }
    }

    public func status(
        _ items: [Tunnel.Reference], _ context: CallContext
    ) async throws -> [ItemResult<Tunnel.Observed>] {
        let known = ends.withLock { $0 }
        return items.map { item in
            guard let end = known[item.id] else {
                return .failed(item.id, ProviderError(.retry, "id \"\(item.id)\" was never ensured"))
            }
            var observed = Self.observed(end.desired)
            observed.peers = end.routes.keys.sorted().map {
                Tunnel.PeerStatus(publicKey: $0, lastHandshakeSeconds: nil, receivedBytes: 0, sentBytes: 0)
            }
            return .ok(item.id, observed)
        }
    }

    /// Of the length that a real answer has.
    private static func observed(_ item: Tunnel.Desired) -> Tunnel.Observed {
        Tunnel.Observed(
            link: item.link, publicKey: item.gateway?.privateKey ?? item.pod?.gatewayPublicKey ?? "", mtu: 1420,
            form: "userspace", encrypted: false)
    }
}
