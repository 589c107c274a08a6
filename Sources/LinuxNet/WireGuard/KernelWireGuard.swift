import CMnl

/// A device of the kernel's module, spoken to over generic netlink.
public struct KernelWireGuard: WireGuardBackend {
    /// The rtnetlink kind of its link, for `RouteSocket.createLink`.
    public static let linkKind = "wireguard"

    private let socket: GenericNetlinkSocket
    private let family: GenericNetlinkSocket.Family
    private let link: String

    /// - Parameters:
    ///   - socket: Opened in the namespace that the link is in.
    ///   - link: The link's name there.
    /// - Throws: `unsupported` if the kernel has no WireGuard.
    public init(socket: GenericNetlinkSocket, link: String) throws {
        try Link.validate(name: link)
        guard let family = try socket.family(named: KernelProtocol.familyName) else {
            throw LinuxNetError(
                code: .unsupported, message: "this kernel has no WireGuard",
                advice: "load the module \"wireguard\" before start, or use the userspace form")
        }
        self.socket = socket
        self.family = family
        self.link = link
    }

    /// Whether the running kernel offers WireGuard, by asking for its generic netlink family. The kernel itself may
    /// load its module for the question; this process starts no program for it.
    public static func isAvailable() throws -> Bool {
        try GenericNetlinkSocket().family(named: KernelProtocol.familyName) != nil
    }

    public func configure(_ configuration: WireGuardConfiguration) throws {
        for fragment in KernelProtocol.fragments(of: configuration) {
            try socket.request(family, command: WG_CMD_SET_DEVICE.rawValue) {
                KernelProtocol.append(fragment, link: link, to: &$0)
            }
        }
    }

    public func status() throws -> WireGuardStatus {
        let replies = try socket.request(family, command: WG_CMD_GET_DEVICE.rawValue, flags: .dump) {
            $0.append(WGDEVICE_A_IFNAME.rawValue, string: link)
        }
        return try KernelProtocol.status(replies.map(\.attributes))
    }
}
