import CMnl
import Glibc

/// An address of an interface. Unlike `IPPrefix` it keeps the address's own bits.
public struct InterfaceAddress: Sendable, Hashable, CustomStringConvertible {
    public var address: IPAddress
    /// Length of the network it is in: 0...32 or 0...128.
    public var prefixLength: Int
    public var linkIndex: UInt32
    /// IPv4 only, at most 15 bytes; the kernel's default is the link's name.
    public var label: String?
    /// RT_SCOPE_*; nil lets the kernel's default for the address stand (universe, or link for fe80::/10).
    public var scope: UInt8?
    /// IFA_F_* flags as read. IFA_F_NODAD is what `skipsDuplicateDetection` sets.
    public var flags: UInt32
    /// IPv6: usable at once, without the second of duplicate address detection.
    public var skipsDuplicateDetection: Bool {
        get { flags & UInt32(IFA_F_NODAD) != 0 }
        set { flags = newValue ? flags | UInt32(IFA_F_NODAD) : flags & ~UInt32(IFA_F_NODAD) }
    }

    /// - Parameters:
    ///   - prefixLength: The default is a host address, /32 or /128.
    ///   - skipsDuplicateDetection: IPv6 only.
    public init(
        _ address: IPAddress, prefixLength: Int? = nil, linkIndex: UInt32, label: String? = nil,
        scope: UInt8? = nil, skipsDuplicateDetection: Bool = false
    ) {
        self.address = address
        self.prefixLength = prefixLength ?? address.family.bitCount
        self.linkIndex = linkIndex
        self.label = label
        self.scope = scope
        flags = skipsDuplicateDetection ? UInt32(IFA_F_NODAD) : 0
    }

    /// Reads a reply of the kernel; nil for families other than IP.
    init?(_ reply: NetlinkReply) throws {
        let header = try reply.header(as: ifaddrmsg.self)
        let attributes = try reply.attributes(after: ifaddrmsg.self)
        // IFA_LOCAL is the interface's own address; IFA_ADDRESS is the peer's on point-to-point links.
        guard let address = (attributes[IFA_LOCAL] ?? attributes[IFA_ADDRESS])?.address else { return nil }
        self.address = address
        prefixLength = Int(header.ifa_prefixlen)
        linkIndex = header.ifa_index
        label = attributes[IFA_LABEL]?.string
        scope = header.ifa_scope
        flags = attributes[IFA_FLAGS]?.uint32 ?? UInt32(header.ifa_flags)
    }

    /// The network the address is in.
    public var network: IPPrefix { IPPrefix(address, length: prefixLength) }

    public var description: String { "\(address)/\(prefixLength)" }

    /// Whether `observed` is this address for all purposes the request stated.
    func isSatisfied(by observed: InterfaceAddress) -> Bool {
        observed.address == address && observed.prefixLength == prefixLength && observed.linkIndex == linkIndex
            && (label == nil || observed.label == label) && (scope == nil || observed.scope == scope)
    }
}

extension RouteSocket {
    /// Addresses of a link, or of all links.
    public func addresses(
        linkIndex: UInt32? = nil, family: IPAddress.Family? = nil
    ) throws -> [InterfaceAddress] {
        var header = ifaddrmsg()
        header.ifa_family = family?.rawValue ?? UInt8(AF_UNSPEC)
        header.ifa_index = linkIndex ?? 0
        var message = NetlinkMessage(type: RTM_GETADDR, flags: .dump)
        message.append(header: header)
        // A kernel without strict checking ignores the index: filter again.
        return try socket.request(message, "list addresses").compactMap(InterfaceAddress.init)
            .filter { linkIndex == nil || $0.linkIndex == linkIndex }
    }

    /// Adds an address.
    ///
    /// - Throws: `alreadyExists` if the link has it.
    public func addAddress(_ address: InterfaceAddress) throws {
        try requestAddress(RTM_NEWADDR, [.create, .exclusive], address, "add")
    }

    /// Removes an address.
    ///
    /// - Throws: `notFound` if the link does not have it.
    public func removeAddress(_ address: InterfaceAddress) throws {
        try requestAddress(RTM_DELADDR, [], address, "remove")
    }

    /// Makes the link have the address; one with the same bits but another label or scope is replaced.
    ///
    /// - Returns: Whether anything changed.
    @discardableResult
    public func ensureAddress(_ address: InterfaceAddress) throws -> Bool {
        let present = try addresses(linkIndex: address.linkIndex, family: address.address.family)
            .filter { $0.address == address.address && $0.prefixLength == address.prefixLength }
        if present.contains(where: address.isSatisfied) { return false }
        for other in present { _ = try tolerating(.notFound) { try removeAddress(other) } }
        return try tolerating(.alreadyExists) { try addAddress(address) }
    }

    /// Makes the link not have the address.
    ///
    /// - Returns: Whether it had it.
    @discardableResult
    public func ensureNoAddress(_ address: InterfaceAddress) throws -> Bool {
        try tolerating(.notFound) { try removeAddress(address) }
    }

    private func requestAddress(
        _ type: Int, _ flags: NetlinkFlags, _ address: InterfaceAddress, _ verb: String
    ) throws {
        guard (0...address.address.family.bitCount).contains(address.prefixLength) else {
            throw LinuxNetError.invalid(
                "prefix length", value: "\(address.prefixLength)",
                allowed: "0...\(address.address.family.bitCount)")
        }
        var header = ifaddrmsg()
        header.ifa_family = address.address.family.rawValue
        header.ifa_prefixlen = UInt8(address.prefixLength)
        header.ifa_index = address.linkIndex
        header.ifa_scope =
            address.scope ?? (address.address.isLinkLocal ? UInt8(RT_SCOPE_LINK.rawValue) : 0)
        var message = NetlinkMessage(type: type, flags: flags)
        message.append(header: header)
        message.append(IFA_LOCAL, address: address.address)
        message.append(IFA_ADDRESS, address: address.address)
        if let label = address.label, address.address.family == .ipv4 {
            message.append(IFA_LABEL, string: label)
        }
        if address.flags != 0 { message.append(IFA_FLAGS, value: address.flags) }
        try socket.request(message, "\(verb) address \(address) on link \(address.linkIndex)")
    }
}
