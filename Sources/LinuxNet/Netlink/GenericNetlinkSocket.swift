import CMnl

/// Requests to kernel parts that are found by name, such as "wireguard". Like every netlink socket it belongs to the
/// namespace it was opened in.
public struct GenericNetlinkSocket: Sendable {
    /// A family as the kernel numbered it at run time.
    public struct Family: Sendable, Hashable {
        public let name: String
        public let identifier: UInt16
        public let version: UInt8
    }

    /// One message of an answer.
    public struct Reply: Sendable {
        public let command: UInt8
        public let attributes: NetlinkAttributes
    }

    /// For requests this type has no function for.
    public let socket: NetlinkSocket

    /// Opens in the calling thread's network namespace.
    public init() throws {
        socket = try NetlinkSocket(.generic)
    }

    /// Looks a family up; nil if the kernel does not have it.
    public func family(named name: String) throws -> Family? {
        let controller = Family(name: "nlctrl", identifier: UInt16(GENL_ID_CTRL), version: 1)
        do {
            let replies = try request(controller, command: CTRL_CMD_GETFAMILY) {
                $0.append(CTRL_ATTR_FAMILY_NAME, string: name)
            }
            guard let attributes = replies.first?.attributes,
                let identifier = attributes[CTRL_ATTR_FAMILY_ID]?.uint16
            else { throw LinuxNetError.malformedReply("generic netlink family \(name) without an id") }
            return Family(
                name: name, identifier: identifier,
                version: UInt8(truncatingIfNeeded: attributes[CTRL_ATTR_VERSION]?.uint32 ?? 1))
        } catch let error as LinuxNetError where error.code == .notFound {
            return nil
        }
    }

    /// Sends one command.
    ///
    /// - Parameters:
    ///   - command: The family's command number.
    ///   - flags: `.dump` for commands that list; `request` and `acknowledge` are added.
    ///   - build: Appends the attributes.
    /// - Returns: The kernel's messages; none for a command that only changes.
    @discardableResult
    public func request(
        _ family: Family, command: some BinaryInteger, flags: NetlinkFlags = [],
        _ build: (inout NetlinkMessage) throws -> Void
    ) throws -> [Reply] {
        var message = NetlinkMessage(type: family.identifier, flags: flags)
        message.append(header: genlmsghdr(cmd: UInt8(command), version: family.version, reserved: 0))
        try build(&message)
        return try socket.request(message, "run command \(command) of netlink family \(family.name)").map { reply in
            Reply(
                command: try reply.header(as: genlmsghdr.self).cmd,
                attributes: try reply.attributes(after: genlmsghdr.self))
        }
    }
}
