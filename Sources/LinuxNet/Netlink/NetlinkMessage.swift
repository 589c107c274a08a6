import CMnl

/// Header flags of a request (linux/netlink.h, NLM_F_*).
public struct NetlinkFlags: OptionSet, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Every message to the kernel carries it.
    public static let request = NetlinkFlags(rawValue: UInt16(NLM_F_REQUEST))
    /// Ask for an acknowledgement.
    public static let acknowledge = NetlinkFlags(rawValue: UInt16(NLM_F_ACK))
    /// Ask for all objects.
    public static let dump = NetlinkFlags(rawValue: UInt16(NLM_F_DUMP))
    /// Create if absent.
    public static let create = NetlinkFlags(rawValue: UInt16(NLM_F_CREATE))
    /// Fail if present.
    public static let exclusive = NetlinkFlags(rawValue: UInt16(NLM_F_EXCL))
    /// Replace if present.
    public static let replace = NetlinkFlags(rawValue: UInt16(NLM_F_REPLACE))
}

/// A netlink message being built: the header, then family-specific fixed structs, then attributes. Integers are in
/// host order unless a function says otherwise. libmnl does the layout; this type owns the buffer and lets it grow.
public struct NetlinkMessage: Sendable {
    /// Message type: an RTM_* constant, or a generic netlink family id.
    public let type: UInt16
    public let flags: NetlinkFlags
    /// Zero-filled beyond the message's end, as libmnl expects.
    private var storage: [UInt8]

    /// - Parameter flags: `request` is added, and `acknowledge` unless it is a dump, which ends by itself.
    public init(type: some BinaryInteger, flags: NetlinkFlags = []) {
        self.type = UInt16(type)
        self.flags = flags.union(flags.isSuperset(of: .dump) ? .request : [.request, .acknowledge])
        storage = [UInt8](repeating: 0, count: 512)
        let (type, flags) = (self.type, self.flags.rawValue)
        storage.withUnsafeMutableBytes { buffer in
            guard let header = mnl_nlmsg_put_header(buffer.baseAddress) else { return }
            header.pointee.nlmsg_type = type
            header.pointee.nlmsg_flags = flags
        }
    }

    /// Length in bytes, without final padding.
    public var count: Int {
        storage.withUnsafeBytes { Int($0.load(as: nlmsghdr.self).nlmsg_len) }
    }

    /// Appends a fixed struct of the kernel's, such as `ifinfomsg` or `genlmsghdr`.
    public mutating func append(header value: some BitwiseCopyable) {
        withUnsafeBytes(of: value) { bytes in
            withRoom(for: bytes.count) { message in
                guard let place = mnl_nlmsg_put_extra_header(message, bytes.count) else { return }
                place.copyMemory(from: bytes.baseAddress ?? UnsafeRawPointer(place), byteCount: bytes.count)
            }
        }
    }

    /// Appends an attribute with these bytes.
    public mutating func append(_ attribute: some BinaryInteger, bytes: some Collection<UInt8>) {
        let attribute = UInt16(attribute)
        let payload = Array(bytes)
        withRoom(for: payload.count + 4) { mnl_attr_put($0, attribute, payload.count, payload) }
    }

    /// Appends an attribute with a fixed struct or integer, in host order.
    public mutating func append(_ attribute: some BinaryInteger, value: some BitwiseCopyable) {
        withUnsafeBytes(of: value) { append(attribute, bytes: $0) }
    }

    /// Appends an attribute with a NUL-terminated text.
    public mutating func append(_ attribute: some BinaryInteger, string: String) {
        append(attribute, bytes: Array(string.utf8) + [0])
    }

    /// Appends an attribute with the address's bytes in network order.
    public mutating func append(_ attribute: some BinaryInteger, address: IPAddress) {
        append(attribute, bytes: address.bytes)
    }

    /// Appends an attribute (with NLA_F_NESTED) that holds what `build` appends.
    public mutating func nest(
        _ attribute: some BinaryInteger, _ build: (inout NetlinkMessage) throws -> Void
    ) rethrows {
        let start = (count + 3) & ~3
        let attribute = UInt16(attribute)
        withRoom(for: 4) { _ = mnl_attr_nest_start($0, attribute) }
        try build(&self)
        storage.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            mnl_attr_nest_end(
                base.assumingMemoryBound(to: nlmsghdr.self), (base + start).assumingMemoryBound(to: nlattr.self))
        }
    }

    /// The bytes to send, numbered.
    ///
    /// - Parameter isAcknowledged: False takes the wish for an acknowledgement out: the kernel then answers failures only.
    func bytes(sequence: UInt32, isAcknowledged: Bool = true) -> [UInt8] {
        var copy = storage
        if !isAcknowledged {
            copy.withUnsafeMutableBytes { buffer in
                buffer.storeBytes(
                    of: flags.subtracting(.acknowledge).rawValue,
                    toByteOffset: MemoryLayout<nlmsghdr>.offset(of: \.nlmsg_flags) ?? 6, as: UInt16.self)
            }
        }
        copy.withUnsafeMutableBytes { buffer in
            buffer.storeBytes(
                of: sequence, toByteOffset: MemoryLayout<nlmsghdr>.offset(of: \.nlmsg_seq) ?? 8, as: UInt32.self)
        }
        return Array(copy.prefix(count))
    }

    /// Calls `body` with the message after making sure that `extra` more bytes, aligned, fit in.
    private mutating func withRoom(for extra: Int, _ body: (UnsafeMutablePointer<nlmsghdr>) -> Void) {
        let needed = count + extra + 16
        if needed > storage.count {
            storage += [UInt8](repeating: 0, count: max(needed, storage.count * 2) - storage.count)
        }
        storage.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            body(base.assumingMemoryBound(to: nlmsghdr.self))
        }
    }
}
