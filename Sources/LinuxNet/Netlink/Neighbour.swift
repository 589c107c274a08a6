import CMnl
import Glibc

/// What a link's neighbour table says: which station an IP address is at.
public struct Neighbour: Sendable, Hashable {
    public var address: IPAddress
    public var hardwareAddress: MACAddress
    public var linkIndex: UInt32

    public init(_ address: IPAddress, at hardwareAddress: MACAddress, linkIndex: UInt32) {
        self.address = address
        self.hardwareAddress = hardwareAddress
        self.linkIndex = linkIndex
    }

    /// Reads a reply of the kernel; nil for entries that are not permanent.
    init?(_ reply: NetlinkReply) throws {
        let header = try reply.header(as: ndmsg.self)
        let attributes = try reply.attributes(after: ndmsg.self)
        guard header.ndm_state & UInt16(NUD_PERMANENT) != 0, IPAddress.Family(rawValue: header.ndm_family) != nil,
            let address = attributes[NDA_DST]?.address,
            let hardwareAddress = attributes[NDA_LLADDR].flatMap({ MACAddress(bytes: $0.payload) })
        else { return nil }
        self.init(address, at: hardwareAddress, linkIndex: UInt32(bitPattern: header.ndm_ifindex))
    }

    func message(_ type: Int, _ flags: NetlinkFlags) -> NetlinkMessage {
        var header = ndmsg()
        header.ndm_family = address.family.rawValue
        header.ndm_ifindex = Int32(bitPattern: linkIndex)
        header.ndm_state = UInt16(NUD_PERMANENT)
        var message = NetlinkMessage(type: type, flags: flags)
        message.append(header: header)
        message.append(NDA_DST, address: address)
        message.append(NDA_LLADDR, bytes: hardwareAddress.bytes)
        return message
    }
}

/// What a VXLAN link's forwarding table says: to which host frames for a station go.
public struct ForwardingEntry: Sendable, Hashable {
    public var hardwareAddress: MACAddress
    /// The host's address outside the tunnel.
    public var host: IPAddress
    /// The host's UDP port; nil is the link's own. The kernel reports the link's own port as nil.
    public var port: UInt16?
    public var linkIndex: UInt32

    public init(_ hardwareAddress: MACAddress, behind host: IPAddress, port: UInt16? = nil, linkIndex: UInt32) {
        self.hardwareAddress = hardwareAddress
        self.host = host
        self.port = port
        self.linkIndex = linkIndex
    }

    /// Reads a reply of the kernel; nil for entries that are not permanent or name no host.
    init?(_ reply: NetlinkReply) throws {
        let header = try reply.header(as: ndmsg.self)
        let attributes = try reply.attributes(after: ndmsg.self)
        guard header.ndm_state & UInt16(NUD_PERMANENT) != 0, let host = attributes[NDA_DST]?.address,
            let hardwareAddress = attributes[NDA_LLADDR].flatMap({ MACAddress(bytes: $0.payload) })
        else { return nil }
        self.init(
            hardwareAddress, behind: host, port: attributes[NDA_PORT]?.uint16?.bigEndian,
            linkIndex: UInt32(bitPattern: header.ndm_ifindex))
    }

    func message(_ type: Int, _ flags: NetlinkFlags) -> NetlinkMessage {
        var header = ndmsg()
        header.ndm_family = UInt8(PF_BRIDGE)
        header.ndm_ifindex = Int32(bitPattern: linkIndex)
        header.ndm_state = UInt16(NUD_PERMANENT)
        header.ndm_flags = UInt8(NTF_SELF)
        var message = NetlinkMessage(type: type, flags: flags)
        message.append(header: header)
        message.append(NDA_LLADDR, bytes: hardwareAddress.bytes)
        message.append(NDA_DST, address: host)
        if let port { message.append(NDA_PORT, value: port.bigEndian) }
        return message
    }
}

extension RouteSocket {
    /// The permanent neighbours on a link.
    public func permanentNeighbours(linkIndex: UInt32) throws -> [Neighbour] {
        try IPAddress.Family.allCases.flatMap { family in
            // A kernel without strict checking ignores the link: filter again.
            try dumpNeighbours(family.rawValue, linkIndex, "list neighbours").compactMap(Neighbour.init)
                .filter { $0.linkIndex == linkIndex }
        }
    }

    /// The permanent entries of a VXLAN link's forwarding table.
    public func forwardingEntries(linkIndex: UInt32) throws -> [ForwardingEntry] {
        try dumpNeighbours(UInt8(PF_BRIDGE), linkIndex, "list forwarding entries").compactMap(ForwardingEntry.init)
            .filter { $0.linkIndex == linkIndex }
    }

    private func dumpNeighbours(_ family: UInt8, _ linkIndex: UInt32, _ operation: String) throws -> [NetlinkReply] {
        var header = ndmsg()
        header.ndm_family = family
        var message = NetlinkMessage(type: RTM_GETNEIGH, flags: .dump)
        message.append(header: header)
        message.append(NDA_IFINDEX, value: linkIndex)
        return try socket.request(message, operation)
    }
}

/// One change of a namespace's tables, for ``RouteSocket/apply(_:)``.
public enum NetworkChange: Sendable, Hashable {
    /// In the place of one with the same destination and metric.
    case setRoute(Route)
    case removeRoute(Route)
    /// In the place of one with the same address.
    case setNeighbour(Neighbour)
    case removeNeighbour(Neighbour)
    /// In the place of one with the same, unicast, station.
    case setForwarding(ForwardingEntry)
    case removeForwarding(ForwardingEntry)

    private var isRemoval: Bool {
        switch self {
        case .removeRoute, .removeNeighbour, .removeForwarding: true
        case .setRoute, .setNeighbour, .setForwarding: false
        }
    }

    fileprivate var message: NetlinkMessage {
        switch self {
        case .setRoute(let route): RouteSocket.message(RTM_NEWROUTE, [.create, .replace], route)
        case .removeRoute(let route): RouteSocket.message(RTM_DELROUTE, [], route)
        case .setNeighbour(let entry): entry.message(Int(RTM_NEWNEIGH), [.create, .replace])
        case .removeNeighbour(let entry): entry.message(Int(RTM_DELNEIGH), [])
        case .setForwarding(let entry): entry.message(Int(RTM_NEWNEIGH), [.create, .replace])
        case .removeForwarding(let entry): entry.message(Int(RTM_DELNEIGH), [])
        }
    }

    /// Whether what the kernel refused was not needed: the thing to be removed is gone.
    fileprivate func isSatisfied(despite error: LinuxNetError) -> Bool {
        isRemoval && error.code == .notFound
    }
}

extension RouteSocket {
    /// Makes many changes with few system calls, in order. Removing what is not there is success.
    ///
    /// - Throws: The first failure, after all of them were tried.
    public func apply(_ changes: [NetworkChange]) throws {
        let failures = try socket.perform(changes.map(\.message), "change tables")
        for failure in failures where !changes[failure.index].isSatisfied(despite: failure.error) {
            throw LinuxNetError(
                code: failure.error.code, message: "cannot make change \(changes[failure.index])",
                cause: failure.error.cause, errorNumber: failure.error.errorNumber, advice: failure.error.advice)
        }
    }
}
