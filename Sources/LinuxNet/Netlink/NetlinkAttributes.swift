import CMnl

/// One received message of a reply, without its netlink header.
public struct NetlinkReply: Sendable {
    /// Message type: an RTM_* constant, or a generic netlink family id.
    public let type: UInt16
    /// What follows the netlink header: a fixed struct, then attributes.
    public let payload: ArraySlice<UInt8>

    /// Reads the fixed struct at the start.
    public func header<Header: BitwiseCopyable>(as type: Header.Type) throws -> Header {
        guard payload.count >= MemoryLayout<Header>.size else {
            throw LinuxNetError.malformedReply("\(payload.count) bytes cannot hold \(Header.self)")
        }
        return payload.withUnsafeBytes { $0.loadUnaligned(as: Header.self) }
    }

    /// Reads the attributes after the fixed struct.
    public func attributes<Header: BitwiseCopyable>(after type: Header.Type) throws -> NetlinkAttributes {
        try NetlinkAttributes(payload.dropFirst((MemoryLayout<Header>.size + 3) & ~3))
    }
}

/// The attributes of a message or of a nested attribute, in the order received.
public struct NetlinkAttributes: Sendable, Sequence {
    private let list: [NetlinkAttribute]

    /// Splits a run of attributes. Trailing bytes too short for an attribute are ignored, as the kernel pads.
    public init(_ bytes: ArraySlice<UInt8>) throws {
        var list: [NetlinkAttribute] = []
        var rest = bytes
        while rest.count >= 4 {
            let (length, type) = rest.withUnsafeBytes {
                (Int($0.loadUnaligned(as: UInt16.self)), $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
            }
            guard (4...rest.count).contains(length) else {
                throw LinuxNetError.malformedReply("an attribute of \(length) bytes in \(rest.count)")
            }
            list.append(
                NetlinkAttribute(
                    type: type & UInt16(attributeTypeMask), payload: rest.dropFirst(4).prefix(length - 4)))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        self.list = list
    }

    /// The last attribute of that type, as the kernel reads them too.
    public subscript(_ type: some BinaryInteger) -> NetlinkAttribute? {
        let type = UInt16(type)
        return list.last { $0.type == type }
    }

    public func makeIterator() -> IndexingIterator<[NetlinkAttribute]> { list.makeIterator() }
}

/// NLA_TYPE_MASK of linux/netlink.h, which is an expression the importer does not read.
private let attributeTypeMask = 0x3fff

/// One attribute. The readers give nil when the payload is too short for what is asked.
public struct NetlinkAttribute: Sendable {
    /// The type without the nested and byte-order flags.
    public let type: UInt16
    public let payload: ArraySlice<UInt8>

    /// A fixed struct or integer in host order, such as UInt32.
    public func value<Value: BitwiseCopyable>(as type: Value.Type) -> Value? {
        guard payload.count >= MemoryLayout<Value>.size else { return nil }
        return payload.withUnsafeBytes { $0.loadUnaligned(as: Value.self) }
    }

    public var uint8: UInt8? { value(as: UInt8.self) }
    public var uint16: UInt16? { value(as: UInt16.self) }
    public var uint32: UInt32? { value(as: UInt32.self) }
    public var uint64: UInt64? { value(as: UInt64.self) }
    /// A text up to its NUL.
    public var string: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }
    /// An address of 4 or 16 bytes.
    public var address: IPAddress? { IPAddress(bytes: payload) }

    /// The attributes inside.
    public func nested() throws -> NetlinkAttributes {
        try NetlinkAttributes(payload)
    }
}
