import CMnl
import Glibc

/// A policy routing rule that sends packets to a table.
public struct RoutingRule: Sendable, Hashable, CustomStringConvertible {
    /// Mark and the bits of it that count.
    public struct Mark: Sendable, Hashable {
        public var value: UInt32
        public var mask: UInt32
        public init(_ value: UInt32, mask: UInt32 = .max) {
            self.value = value
            self.mask = mask
        }
    }

    public var family: IPAddress.Family
    /// Position; smaller comes first. Nil: the kernel takes the number below the lowest rule after 0 (32765 at first),
    /// and comparisons ignore it.
    public var priority: UInt32?
    public var table: UInt32
    public var mark: Mark?
    /// Nil: any source.
    public var source: IPPrefix?
    /// Nil: any destination.
    public var destination: IPPrefix?
    public var incomingLink: String?
    /// Matches packets the conditions do not match.
    public var isInverted: Bool

    public init(
        family: IPAddress.Family = .ipv4, priority: UInt32? = nil, table: UInt32, mark: Mark? = nil,
        source: IPPrefix? = nil, destination: IPPrefix? = nil, incomingLink: String? = nil, isInverted: Bool = false
    ) {
        self.family = family
        self.priority = priority
        self.table = table
        self.mark = mark
        self.source = source
        self.destination = destination
        self.incomingLink = incomingLink
        self.isInverted = isInverted
    }

    /// Reads a reply of the kernel; nil for families other than IP and rules that do not lead to a table.
    init?(_ reply: NetlinkReply) throws {
        let header = try reply.header(as: fib_rule_hdr.self)
        guard let family = IPAddress.Family(rawValue: header.family), Int(header.action) == Int(FR_ACT_TO_TBL) else {
            return nil
        }
        let attributes = try reply.attributes(after: fib_rule_hdr.self)
        let mark = attributes[FRA_FWMARK]?.uint32
        let mask = attributes[FRA_FWMASK]?.uint32
        self.init(
            family: family, priority: attributes[FRA_PRIORITY]?.uint32 ?? 0,
            table: attributes[FRA_TABLE]?.uint32 ?? UInt32(header.table),
            mark: mark.map { Mark($0, mask: mask ?? .max) },
            source: attributes[FRA_SRC]?.address.map { IPPrefix($0, length: Int(header.src_len)) },
            destination: attributes[FRA_DST]?.address.map { IPPrefix($0, length: Int(header.dst_len)) },
            incomingLink: attributes[FRA_IIFNAME]?.string,
            isInverted: header.flags & UInt32(FIB_RULE_INVERT) != 0)
    }

    /// Whether `observed` is this rule, whatever its priority if none was stated.
    func isSatisfied(by observed: RoutingRule) -> Bool {
        var expected = self
        expected.priority = priority ?? observed.priority
        return expected == observed
    }

    public var description: String {
        let parts = [
            priority.map { "priority \($0)" }, source.map { "from \($0)" }, destination.map { "to \($0)" },
            mark.map { "fwmark \($0.value)/\($0.mask)" }, incomingLink.map { "iif \($0)" }, "table \(table)",
        ]
        return (isInverted ? "not " : "") + parts.compactMap(\.self).joined(separator: " ")
    }
}

extension RouteSocket {
    /// Rules that lead to a table, first to last.
    public func rules(family: IPAddress.Family = .ipv4) throws -> [RoutingRule] {
        var header = fib_rule_hdr()
        header.family = family.rawValue
        var message = NetlinkMessage(type: RTM_GETRULE, flags: .dump)
        message.append(header: header)
        return try socket.request(message, "list rules").compactMap(RoutingRule.init)
    }

    /// Adds a rule.
    ///
    /// - Throws: `alreadyExists` if the same rule is there with the same priority.
    public func addRule(_ rule: RoutingRule) throws {
        try requestRule(RTM_NEWRULE, [.create, .exclusive], rule, "add")
    }

    /// Removes the first rule that has all that `rule` states.
    ///
    /// - Throws: `notFound` if there is none.
    public func removeRule(_ rule: RoutingRule) throws {
        try requestRule(RTM_DELRULE, [], rule, "remove")
    }

    /// Makes the rule exist, once.
    ///
    /// - Returns: Whether it was added now.
    @discardableResult
    public func ensureRule(_ rule: RoutingRule) throws -> Bool {
        if try rules(family: rule.family).contains(where: rule.isSatisfied) { return false }
        return try tolerating(.alreadyExists) { try addRule(rule) }
    }

    /// Removes all rules equal to this one; without a priority, at every priority.
    ///
    /// - Returns: Whether there was one.
    @discardableResult
    public func ensureNoRule(_ rule: RoutingRule) throws -> Bool {
        let present = try rules(family: rule.family).filter(rule.isSatisfied)
        for found in present { _ = try tolerating(.notFound) { try removeRule(found) } }
        return !present.isEmpty
    }

    private func requestRule(_ type: Int, _ flags: NetlinkFlags, _ rule: RoutingRule, _ verb: String) throws {
        var header = fib_rule_hdr()
        header.family = rule.family.rawValue
        header.table = Self.shortTable(rule.table)
        header.action = UInt8(FR_ACT_TO_TBL)
        header.src_len = UInt8(rule.source?.length ?? 0)
        header.dst_len = UInt8(rule.destination?.length ?? 0)
        header.flags = rule.isInverted ? UInt32(FIB_RULE_INVERT) : 0
        var message = NetlinkMessage(type: type, flags: flags)
        message.append(header: header)
        message.append(FRA_TABLE, value: rule.table)
        if let priority = rule.priority { message.append(FRA_PRIORITY, value: priority) }
        if let mark = rule.mark {
            message.append(FRA_FWMARK, value: mark.value)
            message.append(FRA_FWMASK, value: mark.mask)
        }
        if let source = rule.source { message.append(FRA_SRC, address: source.address) }
        if let destination = rule.destination { message.append(FRA_DST, address: destination.address) }
        if let link = rule.incomingLink { message.append(FRA_IIFNAME, string: link) }
        try socket.request(message, "\(verb) rule \(rule)")
    }
}
