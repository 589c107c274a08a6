import CMnl
import Glibc

extension RouteSocket {
    /// Routes of a table, in the kernel's order.
    ///
    /// - Parameters:
    ///   - table: Nil for all tables, the local one included.
    ///   - linkIndex: Only routes out by this link.
    public func routes(
        table: UInt32? = Route.mainTable, family: IPAddress.Family? = nil, linkIndex: UInt32? = nil
    ) throws -> [Route] {
        try (family.map { [$0] } ?? IPAddress.Family.allCases).flatMap { family in
            var header = rtmsg()
            header.rtm_family = family.rawValue
            header.rtm_table = Self.shortTable(table ?? 0)
            var message = NetlinkMessage(type: RTM_GETROUTE, flags: .dump)
            message.append(header: header)
            if let table { message.append(RTA_TABLE.rawValue, value: table) }
            if let linkIndex { message.append(RTA_OIF.rawValue, value: linkIndex) }
            do {
                // A kernel without strict checking ignores table and link: filter again.
                return try socket.request(message, "list routes").compactMap(Route.init).filter {
                    !$0.isCloned && (table == nil || $0.table == table)
                        && (linkIndex == nil || $0.linkIndex == linkIndex)
                }
            } catch let error as LinuxNetError where error.code == .notFound {
                // A table that never held a route does not exist.
                return []
            }
        }
    }

    /// The route the kernel would take for a packet sent from here.
    ///
    /// - Parameters:
    ///   - mark: The packet's mark.
    ///   - source: The packet's source address, if it is bound.
    /// - Throws: What the kernel would tell the sender, such as `refused` for a blackhole.
    public func lookup(_ destination: IPAddress, mark: UInt32? = nil, source: IPAddress? = nil) throws -> Route {
        var header = rtmsg()
        header.rtm_family = destination.family.rawValue
        header.rtm_dst_len = UInt8(destination.family.bitCount)
        header.rtm_src_len = source.map { UInt8($0.family.bitCount) } ?? 0
        // Without it IPv4 answers tell no table; IPv6 answers always do, and strict checking refuses the flag.
        header.rtm_flags = destination.family == .ipv4 ? UInt32(RTM_F_LOOKUP_TABLE) : 0
        var message = NetlinkMessage(type: RTM_GETROUTE)
        message.append(header: header)
        message.append(RTA_DST.rawValue, address: destination)
        if let source { message.append(RTA_SRC.rawValue, address: source) }
        if let mark { message.append(RTA_MARK.rawValue, value: mark) }
        guard let route = try socket.request(message, "look up a route to \(destination)").compactMap(Route.init).first
        else { throw LinuxNetError.malformedReply("no route in the answer for \(destination)") }
        return route
    }

    /// Adds a route.
    ///
    /// - Throws: `alreadyExists` if the table has one with this destination and metric.
    public func addRoute(_ route: Route) throws {
        try requestRoute(RTM_NEWROUTE, [.create, .exclusive], route, "add")
    }

    /// Adds a route in the place of one with the same destination and metric, if there is one. No packet sees a moment
    /// without either.
    public func replaceRoute(_ route: Route) throws {
        try requestRoute(RTM_NEWROUTE, [.create, .replace], route, "replace")
    }

    /// Removes a route.
    ///
    /// - Throws: `notFound` if it is not there.
    public func removeRoute(_ route: Route) throws {
        try requestRoute(RTM_DELROUTE, [], route, "remove")
    }

    /// Makes the table have the route, in the place of another one with the same destination and metric.
    ///
    /// - Returns: Whether anything changed.
    @discardableResult
    public func ensureRoute(_ route: Route) throws -> Bool {
        let present = try routes(table: route.table, family: route.destination.family)
        if present.contains(where: route.isSatisfied) { return false }
        try replaceRoute(route)
        return true
    }

    /// Makes the table not have the route.
    ///
    /// - Returns: Whether it had it.
    @discardableResult
    public func ensureNoRoute(_ route: Route) throws -> Bool {
        try tolerating(.notFound) { try removeRoute(route) }
    }

    private func requestRoute(_ type: Int, _ flags: NetlinkFlags, _ route: Route, _ verb: String) throws {
        try socket.request(Self.message(type, flags, route), "\(verb) route \(route)")
    }

    static func message(_ type: Int, _ flags: NetlinkFlags, _ route: Route) -> NetlinkMessage {
        var header = rtmsg()
        header.rtm_family = route.destination.family.rawValue
        header.rtm_dst_len = UInt8(route.destination.length)
        header.rtm_table = Self.shortTable(route.table)
        header.rtm_type = route.kind.rawValue
        header.rtm_protocol = route.originProtocol
        header.rtm_scope = route.effectiveScope.rawValue
        header.rtm_flags = route.isOnLink ? UInt32(RTNH_F_ONLINK) : 0
        var message = NetlinkMessage(type: type, flags: flags)
        message.append(header: header)
        if !route.destination.isAll { message.append(RTA_DST.rawValue, address: route.destination.address) }
        message.append(RTA_TABLE.rawValue, value: route.table)
        if let gateway = route.gateway {
            if gateway.family == route.destination.family {
                message.append(RTA_GATEWAY.rawValue, address: gateway)
            } else {
                let family = withUnsafeBytes(of: UInt16(gateway.family.rawValue)) { Array($0) }
                message.append(RTA_VIA.rawValue, bytes: family + gateway.bytes)
            }
        }
        if let linkIndex = route.linkIndex { message.append(RTA_OIF.rawValue, value: linkIndex) }
        if let source = route.preferredSource { message.append(RTA_PREFSRC.rawValue, address: source) }
        if let metric = route.metric { message.append(RTA_PRIORITY.rawValue, value: metric) }
        return message
    }

    /// The 8-bit table field of the header; RTA_TABLE carries larger numbers.
    static func shortTable(_ table: UInt32) -> UInt8 {
        table < 256 ? UInt8(table) : UInt8(RT_TABLE_COMPAT.rawValue)
    }
}
