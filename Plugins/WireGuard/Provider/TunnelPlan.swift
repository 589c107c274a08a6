import LinuxNet

/// A link as it is in its namespace, as far as a plan looks at it.
struct ObservedLink: Sendable, Equatable {
    var mtu: Int
    var isUp: Bool
    var addresses: Set<TunnelSpec.Address>
    /// Destinations of the link's routes in the main table, without those the kernel made by itself.
    var routes: Set<IPPrefix>
}

/// What is to be done to a tunnel that exists: the difference between wish and world, decided without touching either.
struct TunnelPlan: Sendable {
    var configuration: WireGuardConfiguration
    /// Nil: as it is.
    var mtu: Int?
    var addedAddresses: [TunnelSpec.Address]
    var removedAddresses: [TunnelSpec.Address]
    var addedRoutes: [IPPrefix]
    var removedRoutes: [IPPrefix]
    var setUp: Bool

    var isEmpty: Bool {
        configuration.isEmpty && mtu == nil && addedAddresses.isEmpty && removedAddresses.isEmpty
            && addedRoutes.isEmpty && removedRoutes.isEmpty && !setUp
    }

    /// What differs, for people; names no secret.
    var differences: [String] {
        var texts: [String] = []
        if configuration.privateKey != nil { texts.append("its key is another") }
        if let port = configuration.listenPort { texts.append("it does not listen on port \(port)") }
        texts += configuration.peers.map { peer in
            peer.remove ? "peer \(peer.publicKey) is not wanted" : "peer \(peer.publicKey) is not as wanted"
        }
        if let mtu { texts.append("MTU is not \(mtu)") }
        texts += addedAddresses.map { "address \($0.address)/\($0.length) is missing" }
        texts += removedAddresses.map { "address \($0.address)/\($0.length) is not wanted" }
        texts += addedRoutes.map { "route \($0) is missing" }
        texts += removedRoutes.map { "route \($0) is not wanted" }
        if setUp { texts.append("it is down") }
        return texts
    }

    /// - Parameters:
    ///   - mtu: What the link's MTU shall be.
    ///   - podKey: The key for a pod end that has none yet; an end that has one keeps it.
    init(
        _ spec: TunnelSpec, status: WireGuardStatus, link: ObservedLink, mtu wantedMTU: Int,
        podKey: WireGuardPrivateKey?
    ) {
        configuration = Self.configuration(spec, status, podKey)
        mtu = link.mtu == wantedMTU ? nil : wantedMTU
        let wanted = Set(spec.addresses)
        addedAddresses = spec.addresses.filter { !link.addresses.contains($0) }
        // A link-local address may be one that the kernel gave the link by itself.
        removedAddresses = link.addresses.subtracting(wanted).filter { !$0.address.isLinkLocal }
            .sorted { $0.address < $1.address }
        addedRoutes = spec.routes.subtracting(link.routes).sorted()
        switch spec.end {
        case .gateway: removedRoutes = link.routes.subtracting(spec.routes).sorted()
        case .pod: removedRoutes = []
        }
        setUp = !link.isUp
    }

    /// The device's part alone, as it is done before a new link is moved.
    static func configuration(
        _ spec: TunnelSpec, _ status: WireGuardStatus, _ podKey: WireGuardPrivateKey?
    ) -> WireGuardConfiguration {
        var configuration = WireGuardConfiguration(peers: status.changes(toPeers: spec.peers))
        switch spec.end {
        case .gateway(let port, let key, _):
            if key.publicKey != status.publicKey { configuration.privateKey = key }
            if port != status.listenPort { configuration.listenPort = port }
        case .pod:
            if status.publicKey == nil { configuration.privateKey = podKey }
        }
        return configuration
    }
}

/// The MTU of tunnel links.
enum TunnelMTU {
    /// What an encrypted packet is longer than the packet in it: 40 bytes IPv6 (or 20 IPv4), 8 UDP, 16 WireGuard data
    /// header and 16 authentication tag. 80 fits both outer families, and gives the kernel's own default of 1420 for
    /// an uplink of 1500. The uplink must carry that much; smaller values cost throughput, larger ones fragments.
    static let overhead = 80
    /// The uplink's MTU if none can be found.
    static let ordinaryUplink = 1500

    /// The tunnel's MTU for an uplink's, in bytes.
    static func derived(fromUplink mtu: Int) -> Int {
        min(max(mtu - overhead, WireGuardSettings.mtuRange.lowerBound), WireGuardSettings.mtuRange.upperBound)
    }
}
