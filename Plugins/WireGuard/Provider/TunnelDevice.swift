import LinuxNet
import ProviderKit

/// A tunnel link that was found in its namespace, and the way to its device. Lives for one call.
struct TunnelDevice: Sendable {
    let form: WireGuardForm
    let link: Link
    let backend: any WireGuardBackend
    /// With ``WireGuardForm/userspace``: the device's process by its control socket.
    let userspace: UserspaceWireGuard?

    /// Whether the link carries the name it was made under as its alias, by which it is known as this provider's.
    var isMarked: Bool { link.alias.map(TunnelNaming.isCreationName) ?? false }

    /// The tunnel of that name; nil if there is no link.
    ///
    /// A kernel WireGuard link of the right name is taken for ours whatever its alias: upstream's links have others
    /// (upstream behaviour section 2.4).
    ///
    /// - Parameter routes: Opened in the link's namespace.
    /// - Throws: `terminal` if the name belongs to a link of somebody else.
    static func find(_ name: String, in namespace: NetworkNamespace, _ routes: RouteSocket) throws -> TunnelDevice? {
        guard let link = try routes.link(named: name) else { return nil }
        guard let device = try TunnelDevice(link, in: namespace) else {
            throw ProviderError(
                .terminal,
                "link \(name) in \(namespace) is of kind \(link.kind ?? "none") and not made by this provider; "
                    + "remove or rename it")
        }
        return device
    }

    /// Nil unless the link is a WireGuard device of the kernel's, or a TUN link that this provider made.
    init?(_ link: Link, in namespace: NetworkNamespace) throws {
        self.link = link
        switch (link.kind, link.alias) {
        case (KernelWireGuard.linkKind, _):
            form = .kernel
            userspace = nil
            let name = link.name
            backend = try namespace.runBlocking { try KernelWireGuard(socket: GenericNetlinkSocket(), link: name) }
        case ("tun", .some(let alias)) where TunnelNaming.isCreationName(alias):
            form = .userspace
            let device = try UserspaceWireGuard(creationName: alias)
            userspace = device
            backend = device
        default:
            return nil
        }
    }

    /// Removes the link, and with it all of the device.
    ///
    /// - Parameter routes: Opened in the link's namespace.
    func remove(_ routes: RouteSocket) throws {
        // Asked first: a process that got no answer from its socket can be found no other way.
        let process = try? userspace?.processIdentifier()
        try routes.ensureNoLink(named: link.name)
        if let userspace { UserspaceProcess.stop(userspace, process: process) }
    }
}

/// How to reach a tunnel again later, at a moment's notice, without holding anything of it open: an open socket would
/// keep a pod's namespace alive.
struct TunnelAddress: Sendable, Hashable {
    let namespace: NetworkNamespace
    let link: String
    let form: WireGuardForm
    /// The link's alias.
    let creationName: String

    /// Blocks shortly.
    func open() throws -> any WireGuardBackend {
        switch form {
        case .userspace:
            return try UserspaceWireGuard(creationName: creationName)
        case .kernel:
            let name = link
            return try namespace.runBlocking { try KernelWireGuard(socket: GenericNetlinkSocket(), link: name) }
        }
    }
}
