import LinuxNet

/// The difference between a link and what it shall be, decided without touching either.
struct LinkPlan: Sendable, Equatable {
    /// Nil: as it is.
    var mtu: Int?
    var setQuiet: Bool
    var checkSources: Bool
    var addedAddresses: [TunnelSpec.Address]
    var removedAddresses: [TunnelSpec.Address]
    var setUp: Bool

    init(from observed: LinkState, to wanted: LinkState) {
        mtu = observed.mtu == wanted.mtu ? nil : wanted.mtu
        setUp = !observed.isUp
        setQuiet = setUp || !observed.isQuiet
        checkSources = wanted.checksSources && !observed.checksSources
        addedAddresses = wanted.addresses.subtracting(observed.addresses).sorted { $0.address < $1.address }
        // A link-local address may be one that the kernel gave the link by itself.
        removedAddresses = observed.addresses.subtracting(wanted.addresses).filter { !$0.address.isLinkLocal }
            .sorted { $0.address < $1.address }
    }

    /// What differs, for a person; empty: nothing.
    var differences: [String] {
        var list: [String] = []
        if let mtu { list.append("MTU is not \(mtu)") }
        if setUp { list.append("it is down") }
        if setQuiet, !setUp { list.append("it resolves neighbours") }
        if checkSources { list.append("it takes any source") }
        list += addedAddresses.map { "address \($0.address)/\($0.length) is missing" }
        list += removedAddresses.map { "address \($0.address)/\($0.length) is too many" }
        return list
    }
}

/// The difference between the kernel's tables for a link and what they shall hold.
struct TablePlan: Sendable, Equatable {
    /// In an order in which a packet finds its whole way or none.
    let changes: [NetworkChange]

    init(from observed: TableState, to wanted: TableState, linkIndex: UInt32) {
        func forwarding(_ station: MACAddress, _ host: TunnelHost) -> ForwardingEntry {
            ForwardingEntry(station, behind: host.address, port: host.port, linkIndex: linkIndex)
        }
        func neighbour(_ address: IPAddress, _ station: MACAddress) -> Neighbour {
            Neighbour(address, at: station, linkIndex: linkIndex)
        }
        var changes: [NetworkChange] = []
        for (station, host) in wanted.forwarding.sorted(by: { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) })
        where observed.forwarding[station] != host {
            changes.append(.setForwarding(forwarding(station, host)))
        }
        for (address, station) in wanted.neighbours.sorted(by: { $0.key < $1.key })
        where observed.neighbours[address] != station {
            changes.append(.setNeighbour(neighbour(address, station)))
        }
        if let routes = wanted.routes {
            let present = observed.routes ?? []
            let slots = Set(routes.map { RouteSlot($0) })
            let missing = routes.subtracting(present).sorted { $0.destination < $1.destination }
            changes += missing.map { .setRoute($0.route(linkIndex: linkIndex)) }
            // One in the place of which another was just set is gone already.
            let unwanted = present.subtracting(routes).filter { !slots.contains(RouteSlot($0)) }
            changes += unwanted.sorted { $0.destination < $1.destination }
                .map { .removeRoute($0.route(linkIndex: linkIndex)) }
        }
        for (address, station) in observed.neighbours.sorted(by: { $0.key < $1.key })
        where wanted.neighbours[address] == nil {
            changes.append(.removeNeighbour(neighbour(address, station)))
        }
        for (station, host) in observed.forwarding.sorted(by: { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) })
        where wanted.forwarding[station] == nil {
            changes.append(.removeForwarding(forwarding(station, host)))
        }
        self.changes = changes
    }

    /// Routes that share it replace each other.
    private struct RouteSlot: Hashable {
        let destination: IPPrefix
        let metric: UInt32

        init(_ route: TunnelRoute) {
            destination = route.destination
            metric = route.metric
        }
    }

    /// What differs, for a person, at most `limit` lines and one that counts the rest; empty: nothing.
    func differences(limit: Int = 8) -> [String] {
        let lines = changes.prefix(limit).map { change in
            switch change {
            case .setRoute(let route): "route \(route) is missing or another"
            case .removeRoute(let route): "route \(route) is too many"
            case .setNeighbour(let entry): "neighbour \(entry.address) is missing or another"
            case .removeNeighbour(let entry): "neighbour \(entry.address) is too many"
            case .setForwarding(let entry):
                "forwarding of \(entry.hardwareAddress) to \(entry.host) is missing or another"
            case .removeForwarding(let entry): "forwarding of \(entry.hardwareAddress) is too many"
            }
        }
        return lines + (changes.count > limit ? ["and \(changes.count - limit) more"] : [])
    }
}
