import FoundationEssentials
import ProviderKit

/// What one measured call asks for.
enum Shape: String, CaseIterable {
    /// One gateway end with one peer.
    case single
    /// One gateway end with 1,000 peers: what the gateway role sends for a gateway that serves so many pods.
    case peers
    /// 1,000 gateway ends with one peer each: a batch in the border's own sense.
    case items

    /// Peers in one call.
    var count: Int { self == .single ? 1 : 1_000 }

    var title: String {
        switch self {
        case .single: "1 end, 1 peer"
        case .peers: "1 end, 1,000 peers"
        case .items: "1,000 ends, 1 peer each"
        }
    }

    /// Calls between two looks at the clock: enough that the clock's own cost does not count.
    var callsPerRound: Int { self == .single ? 100 : 3 }

    var request: [Tunnel.Desired] {
        switch self {
        case .single: [Self.end(0, peers: 0..<1)]
        case .peers: [Self.end(0, peers: 0..<count)]
        case .items: (0..<count).map { Self.end($0, peers: $0..<($0 + 1)) }
        }
    }

    private static func end(_ number: Int, peers: Range<Int>) -> Tunnel.Desired {
        Tunnel.Desired(
            id: "bench/gateway-\(number)", namespace: "/run/netns/bench-\(number)", link: "wg\(number)",
            addresses: ["10.89.0.1/32"],
            gateway: Tunnel.GatewayEnd(
                port: 20_000 + number, privateKey: key(number), peers: peers.map(Self.peer)))
    }

    private static func peer(_ number: Int) -> Tunnel.Peer {
        Tunnel.Peer(
            id: "bench/pod-\(number)", publicKey: key(number),
            allowedIPs: ["10.244.\(number / 250).\(number % 250 + 1)/32"])
    }

    /// 32 bytes that differ, as base64.
    private static func key(_ number: Int) -> String {
        Data((0..<32).map { UInt8(truncatingIfNeeded: number >> ($0 % 2 * 8) &+ $0 * 37) }).base64EncodedString()
    }
}
