import CMnl
import Glibc

/// What the kernel does with packets that match a route (RTN_* of linux/rtnetlink.h).
public struct RouteKind: RawRepresentable, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let unicast = RouteKind(rawValue: UInt8(RTN_UNICAST))
    public static let local = RouteKind(rawValue: UInt8(RTN_LOCAL))
    public static let broadcast = RouteKind(rawValue: UInt8(RTN_BROADCAST))
    public static let anycast = RouteKind(rawValue: UInt8(RTN_ANYCAST))
    public static let multicast = RouteKind(rawValue: UInt8(RTN_MULTICAST))
    /// Packets vanish.
    public static let blackhole = RouteKind(rawValue: UInt8(RTN_BLACKHOLE))
    /// Packets are refused with ICMP host unreachable.
    public static let unreachable = RouteKind(rawValue: UInt8(RTN_UNREACHABLE))
    /// Packets are refused with ICMP administratively prohibited.
    public static let prohibit = RouteKind(rawValue: UInt8(RTN_PROHIBIT))

    /// Whether such a route names no next hop: its packets end here.
    var endsHere: Bool { [.blackhole, .unreachable, .prohibit].contains(self) }
}

/// How far away a route's destination is (RT_SCOPE_*).
public struct RouteScope: RawRepresentable, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let universe = RouteScope(rawValue: UInt8(RT_SCOPE_UNIVERSE.rawValue))
    public static let link = RouteScope(rawValue: UInt8(RT_SCOPE_LINK.rawValue))
    public static let host = RouteScope(rawValue: UInt8(RT_SCOPE_HOST.rawValue))
    public static let nowhere = RouteScope(rawValue: UInt8(RT_SCOPE_NOWHERE.rawValue))
}

/// A route. Defaults make the common ones short: `Route(to: prefix, via: gateway, linkIndex: index)`.
public struct Route: Sendable, Hashable {
    /// RT_TABLE_MAIN.
    public static let mainTable: UInt32 = 254
    /// RT_TABLE_LOCAL.
    public static let localTable: UInt32 = 255

    public var destination: IPPrefix
    /// Next hop. An IPv6 gateway of an IPv4 route becomes RTA_VIA, "via inet6".
    public var gateway: IPAddress?
    /// Interface the packets leave by; nil where `kind` needs none.
    public var linkIndex: UInt32?
    public var table: UInt32
    public var kind: RouteKind
    /// Nil: link without a gateway and universe with one, as iproute2 does; IPv6 has universe only.
    public var scope: RouteScope?
    /// RTPROT_*; 3 is "boot", iproute2's default; 4 is "static".
    public var originProtocol: UInt8
    /// RTA_PREFSRC: the source address of packets this host sends.
    public var preferredSource: IPAddress?
    /// RTA_PRIORITY; smaller wins. Nil: the kernel's default, 0 for IPv4 and 1024 for IPv6.
    public var metric: UInt32?
    /// RTNH_F_ONLINK: take the gateway as reachable on the link although no route says so.
    public var isOnLink: Bool
    /// Read only: how many next hops a multipath route has; such a route shows no gateway here.
    public private(set) var nextHopCount = 1
    /// Read only: RTM_F_CLONED, an entry of the kernel's exception cache and no configured route.
    public private(set) var isCloned = false

    public init(
        to destination: IPPrefix, via gateway: IPAddress? = nil, linkIndex: UInt32? = nil,
        table: UInt32 = Route.mainTable, kind: RouteKind = .unicast, scope: RouteScope? = nil,
        originProtocol: UInt8 = 3, preferredSource: IPAddress? = nil, metric: UInt32? = nil, isOnLink: Bool = false
    ) {
        self.destination = destination
        self.gateway = gateway
        self.linkIndex = linkIndex
        self.table = table
        self.kind = kind
        self.scope = scope
        self.originProtocol = originProtocol
        self.preferredSource = preferredSource
        self.metric = metric
        self.isOnLink = isOnLink
    }

    /// Reads a reply of the kernel; nil for families other than IP.
    init?(_ reply: NetlinkReply) throws {
        let header = try reply.header(as: rtmsg.self)
        guard let family = IPAddress.Family(rawValue: header.rtm_family) else { return nil }
        let attributes = try reply.attributes(after: rtmsg.self)
        let address = attributes[RTA_DST.rawValue]?.address ?? .unspecified(family)
        self.init(
            to: IPPrefix(address, length: Int(header.rtm_dst_len)),
            via: attributes[RTA_GATEWAY.rawValue]?.address
                // struct rtvia: a 16-bit family, then the address.
                ?? attributes[RTA_VIA.rawValue].flatMap { IPAddress(bytes: $0.payload.dropFirst(2)) },
            linkIndex: attributes[RTA_OIF.rawValue]?.uint32,
            table: attributes[RTA_TABLE.rawValue]?.uint32 ?? UInt32(header.rtm_table),
            kind: RouteKind(rawValue: header.rtm_type), scope: RouteScope(rawValue: header.rtm_scope),
            originProtocol: header.rtm_protocol, preferredSource: attributes[RTA_PREFSRC.rawValue]?.address,
            metric: attributes[RTA_PRIORITY.rawValue]?.uint32,
            isOnLink: header.rtm_flags & UInt32(RTNH_F_ONLINK) != 0)
        isCloned = header.rtm_flags & UInt32(RTM_F_CLONED) != 0
        if let paths = attributes[RTA_MULTIPATH.rawValue] {
            nextHopCount = Self.countNextHops(paths.payload)
        }
    }

    private static func countNextHops(_ bytes: ArraySlice<UInt8>) -> Int {
        var (count, rest) = (0, bytes)
        while rest.count >= MemoryLayout<rtnexthop>.size {
            let length = Int(rest.withUnsafeBytes { $0.loadUnaligned(as: UInt16.self) })
            guard length >= MemoryLayout<rtnexthop>.size else { break }
            count += 1
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return count
    }

    /// The scope that will be asked for.
    var effectiveScope: RouteScope {
        if destination.family == .ipv6 { return .universe }
        if let scope { return scope }
        if kind == .local { return .host }
        return gateway == nil && !kind.endsHere ? .link : .universe
    }

    /// Whether `observed` is this route for all purposes the request stated.
    func isSatisfied(by observed: Route) -> Bool {
        observed.destination == destination && observed.table == table && observed.kind == kind
            && observed.gateway == gateway && observed.nextHopCount == 1 && !observed.isCloned
            // The kernel gives IPv6 routes that end here the loopback's index.
            && (kind.endsHere || observed.linkIndex == linkIndex)
            && (kind.endsHere || observed.effectiveScope == effectiveScope)
            && (preferredSource == nil || observed.preferredSource == preferredSource)
            && (observed.metric ?? 0) == (metric ?? (destination.family == .ipv6 ? 1024 : 0))
            && observed.originProtocol == originProtocol && observed.isOnLink == isOnLink
    }
}

extension Route: CustomStringConvertible {
    public var description: String {
        let target = destination.isAll ? "default" : destination.description
        let hop = gateway.map { " via \($0.family == destination.family ? "" : "inet6 ")\($0)" } ?? ""
        let link = linkIndex.map { " link \($0)" } ?? ""
        let place = table == Self.mainTable ? "" : " table \(table)"
        return "\(target)\(hop)\(link)\(place)\(kind == .unicast ? "" : " (type \(kind.rawValue))")"
    }
}
