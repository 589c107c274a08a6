import CMnl
import Glibc

/// A network interface as the kernel describes it.
public struct Link: Sendable, Hashable {
    /// Interface index, unique in its namespace.
    public let index: UInt32
    public let name: String
    /// "veth", "bridge", "wireguard", "tun", "vxlan", ...; nil for physical links and lo.
    public let kind: String?
    public let alias: String?
    /// Bytes.
    public let mtu: UInt32
    /// IFF_* flags of linux/if.h.
    public let flags: UInt32
    public let hardwareAddress: MACAddress?
    /// Index of the bridge (or other controlling link) it is a port of.
    public let controllerIndex: UInt32?
    /// Index of its other end, for a veth; meaningful in the namespace `peerNamespaceID` names.
    public let peerIndex: UInt32?
    /// Identifier of the other end's namespace as seen from this one; nil if it is this one.
    public let peerNamespaceID: Int32?
    /// What a VXLAN link is made of; nil for other kinds.
    public let vxlan: VXLANParameters?

    /// Whether it is administratively up.
    public var isUp: Bool { flags & UInt32(IFF_UP) != 0 }
    /// Whether it asks for its neighbours, by ARP or neighbour discovery.
    public var resolvesNeighbours: Bool { flags & UInt32(IFF_NOARP) == 0 }
    public var isLoopback: Bool { flags & UInt32(IFF_LOOPBACK) != 0 }

    init(_ reply: NetlinkReply) throws {
        let header = try reply.header(as: ifinfomsg.self)
        let attributes = try reply.attributes(after: ifinfomsg.self)
        index = UInt32(bitPattern: header.ifi_index)
        flags = header.ifi_flags
        name = attributes[IFLA_IFNAME]?.string ?? ""
        let information = try attributes[IFLA_LINKINFO]?.nested()
        kind = information?[IFLA_INFO_KIND]?.string
        vxlan =
            kind == VXLANParameters.linkKind
            ? try information?[IFLA_INFO_DATA].flatMap { VXLANParameters(try $0.nested()) } : nil
        alias = attributes[IFLA_IFALIAS]?.string
        mtu = attributes[IFLA_MTU]?.uint32 ?? 0
        hardwareAddress = attributes[IFLA_ADDRESS].flatMap { MACAddress(bytes: $0.payload) }
        controllerIndex = attributes[IFLA_MASTER]?.uint32
        peerIndex = attributes[IFLA_LINK]?.uint32
        peerNamespaceID = attributes[IFLA_LINK_NETNSID]?.value(as: Int32.self)
    }

    /// Checks a name the kernel would accept: 1 to 15 bytes (IFNAMSIZ - 1), no "/", ":", space, "." or "..".
    public static func validate(name: String) throws {
        guard (1...15).contains(name.utf8.count), name != ".", name != "..",
            name.utf8.allSatisfy({ $0 > 32 && $0 != 47 && $0 != 58 && $0 != 127 })
        else {
            throw LinuxNetError.invalid(
                "link name", value: name, allowed: "1 to 15 characters without \"/\", \":\" or space")
        }
    }
}

/// The other end of a veth pair to be made.
public struct VethPeer: Sendable {
    public var name: String
    /// Where it shall be made; nil for the socket's own namespace.
    public var namespace: NamespaceHandle?

    public init(name: String, namespace: NamespaceHandle? = nil) {
        self.name = name
        self.namespace = namespace
    }
}

extension RouteSocket {
    /// All links of the namespace.
    public func links() throws -> [Link] {
        var message = NetlinkMessage(type: RTM_GETLINK, flags: .dump)
        message.append(header: ifinfomsg())
        return try socket.request(message, "list links").map(Link.init)
    }

    /// The link of that name, or nil.
    public func link(named name: String) throws -> Link? {
        try Link.validate(name: name)
        return try oneLink("find link \(name)", ifinfomsg()) { $0.append(IFLA_IFNAME, string: name) }
    }

    /// The link of that index, or nil.
    public func link(index: UInt32) throws -> Link? {
        try oneLink("find link \(index)", Self.header(index)) { _ in }
    }

    /// The link of that name.
    ///
    /// - Throws: `notFound` if there is none.
    public func requireLink(named name: String) throws -> Link {
        guard let link = try link(named: name) else {
            throw LinuxNetError.system("find link \(name)", errorNumber: ENODEV)
        }
        return link
    }

    private func oneLink(
        _ operation: String, _ header: ifinfomsg, _ build: (inout NetlinkMessage) -> Void
    ) throws -> Link? {
        var message = NetlinkMessage(type: RTM_GETLINK)
        message.append(header: header)
        build(&message)
        do {
            return try socket.request(message, operation).first.map(Link.init)
        } catch let error as LinuxNetError where error.code == .notFound {
            return nil
        }
    }

    private static func header(_ index: UInt32, flags: UInt32 = 0, change: UInt32 = 0) -> ifinfomsg {
        var header = ifinfomsg()
        header.ifi_index = Int32(bitPattern: index)
        header.ifi_flags = flags
        header.ifi_change = change
        return header
    }
}

extension RouteSocket {
    /// Creates a link that needs no more than a kind: "bridge", "wireguard", "ifb", ...
    ///
    /// - Throws: `unsupported` if the kernel has no such kind, `alreadyExists` if the name is taken.
    public func createLink(name: String, kind: String, mtu: UInt32? = nil) throws {
        try create(name: name, kind: kind, mtu: mtu) { _ in }
    }

    public func createBridge(name: String) throws {
        try createLink(name: name, kind: "bridge")
    }

    /// Creates a veth pair; both ends are down. A peer in another namespace is made there directly.
    public func createVeth(name: String, peer: VethPeer, mtu: UInt32? = nil) throws {
        try Link.validate(name: peer.name)
        try create(name: name, kind: "veth", mtu: mtu) { message in
            message.nest(IFLA_INFO_DATA) { data in
                data.nest(VETH_INFO_PEER) { other in
                    other.append(header: ifinfomsg())
                    other.append(IFLA_IFNAME, string: peer.name)
                    if let mtu { other.append(IFLA_MTU, value: mtu) }
                    if let namespace = peer.namespace {
                        other.append(IFLA_NET_NS_FD, value: namespace.descriptor)
                    }
                }
            }
        }
    }

    /// Creates the link unless one of that name and kind exists.
    ///
    /// - Returns: The link, and whether it was made now.
    /// - Throws: `alreadyExists` if the name belongs to a link of another kind.
    @discardableResult
    public func ensureLink(name: String, kind: String) throws -> (link: Link, created: Bool) {
        let created = try tolerating(.alreadyExists) { try createLink(name: name, kind: kind) }
        let link = try requireLink(named: name)
        guard link.kind == kind else {
            throw LinuxNetError(
                code: .alreadyExists, message: "link \(name) is of kind \(link.kind ?? "none"), not \(kind)",
                advice: "remove or rename it")
        }
        return (link, created)
    }

    /// - Parameter build: Appends what the kind needs, inside IFLA_LINKINFO.
    func create(
        name: String, kind: String, mtu: UInt32?, hardwareAddress: MACAddress? = nil,
        _ build: (inout NetlinkMessage) -> Void
    ) throws {
        try Link.validate(name: name)
        var message = NetlinkMessage(type: RTM_NEWLINK, flags: [.create, .exclusive])
        message.append(header: ifinfomsg())
        message.append(IFLA_IFNAME, string: name)
        if let mtu { message.append(IFLA_MTU, value: mtu) }
        if let hardwareAddress { message.append(IFLA_ADDRESS, bytes: hardwareAddress.bytes) }
        message.nest(IFLA_LINKINFO) { information in
            information.append(IFLA_INFO_KIND, string: kind)
            build(&information)
        }
        try socket.request(message, "create \(kind) link \(name)")
    }

    /// Removes a link; a veth takes its peer along.
    public func deleteLink(index: UInt32) throws {
        var message = NetlinkMessage(type: RTM_DELLINK)
        message.append(header: Self.header(index))
        try socket.request(message, "delete link \(index)")
    }

    /// Removes the link if it is there.
    ///
    /// - Returns: Whether it was there.
    @discardableResult
    public func ensureNoLink(named name: String) throws -> Bool {
        guard let link = try link(named: name) else { return false }
        return try tolerating(.notFound) { try deleteLink(index: link.index) }
    }

    /// Sets a link up or down.
    public func setUp(_ isUp: Bool, index: UInt32) throws {
        let flag = UInt32(IFF_UP)
        try change(Self.header(index, flags: isUp ? flag : 0, change: flag), isUp ? "set up" : "set down") { _ in }
    }

    /// Renames a link. Kernels before 6.3 want it down.
    public func rename(index: UInt32, to name: String) throws {
        try Link.validate(name: name)
        try change(Self.header(index), "rename to \(name)") { $0.append(IFLA_IFNAME, string: name) }
    }

    /// Sets the MTU, in bytes.
    public func setMTU(_ mtu: UInt32, index: UInt32) throws {
        try change(Self.header(index), "set MTU \(mtu) on") { $0.append(IFLA_MTU, value: mtu) }
    }

    /// Sets the alias, at most 255 bytes (IFALIASZ - 1); an empty one removes it.
    public func setAlias(_ alias: String, index: UInt32) throws {
        guard alias.utf8.count <= 255 else {
            throw LinuxNetError.invalid("link alias", value: alias, allowed: "at most 255 bytes")
        }
        try change(Self.header(index), "set alias \"\(alias)\" on") {
            $0.append(IFLA_IFALIAS, bytes: Array(alias.utf8))
        }
    }

    /// Makes a link a port of a bridge; nil takes it out.
    public func setController(_ controller: UInt32?, index: UInt32) throws {
        try change(Self.header(index), "set controller \(controller ?? 0) on") {
            $0.append(IFLA_MASTER, value: controller ?? 0)
        }
    }

    /// Moves a link into another namespace, optionally under another name. It arrives down and without addresses.
    public func move(index: UInt32, to namespace: NamespaceHandle, renamedTo name: String? = nil) throws {
        if let name { try Link.validate(name: name) }
        try change(Self.header(index), "move to another namespace") {
            $0.append(IFLA_NET_NS_FD, value: namespace.descriptor)
            if let name { $0.append(IFLA_IFNAME, string: name) }
        }
    }

    private func change(
        _ header: ifinfomsg, _ operation: String, _ build: (inout NetlinkMessage) -> Void
    ) throws {
        var message = NetlinkMessage(type: RTM_NEWLINK)
        message.append(header: header)
        build(&message)
        try socket.request(message, "\(operation) link \(header.ifi_index)")
    }
}
