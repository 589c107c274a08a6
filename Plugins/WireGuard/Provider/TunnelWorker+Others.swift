import Glibc
import LinuxNet
import ProviderKit

extension TunnelWorker {
    /// Removes a tunnel with its process and socket; one that is not there is success, and so is a link of that name
    /// that is somebody else's.
    func remove(namespace: NetworkNamespace, link: String) throws {
        let name = TunnelNaming.creationName(namespacePath: namespace.path, link: link)
        do {
            let routes = try RouteSocket.openBlocking(in: namespace)
            if let found = try routes.link(named: link), let device = try TunnelDevice(found, in: namespace) {
                try device.remove(routes)
            }
        } catch let error as LinuxNetError where error.code == .namespaceMissing {
            // The link went with it.
        }
        // A half-made one, or a process that is about to notice that its namespace is gone.
        try RouteSocket().ensureNoLink(named: name)
        UserspaceProcess.stop(try UserspaceWireGuard(creationName: name))
    }

    /// - Returns: Beside the state, how to reach the tunnel again if it is a pod's end: after a restart of the host,
    ///   that is how it comes to be watched again. Nothing if there is no such tunnel.
    /// - Throws: `terminal` if the name belongs to a link of somebody else.
    func status(
        namespace: NetworkNamespace, link: String
    ) throws -> (observed: Tunnel.Observed?, podEnd: TunnelAddress?) {
        let routes = try RouteSocket.openBlocking(in: namespace)
        guard let device = try TunnelDevice.find(link, in: namespace, routes) else { return (nil, nil) }
        let status = try device.backend.status()
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let peers = status.peers.map { peer in
            Tunnel.PeerStatus(
                publicKey: peer.publicKey.description,
                lastHandshakeSeconds: peer.lastHandshake.map { max(0, now.tv_sec - Int($0.components.seconds)) },
                receivedBytes: peer.receivedBytes, sentBytes: peer.sentBytes)
        }
        let observed = Tunnel.Observed(
            link: link, publicKey: status.publicKey?.description ?? "", mtu: Int(device.link.mtu),
            form: device.form.rawValue, encrypted: true, peers: peers)
        let address = TunnelAddress(
            namespace: namespace, link: link, form: device.form, creationName: device.link.alias ?? "")
        let isPodEnd = status.peers.count == 1 && status.peers[0].allowedIPs.contains(.all(.ipv4))
        return (observed, isPodEnd ? address : nil)
    }

    /// Names of this provider's tunnel links in a namespace; none if it does not exist.
    func ownLinks(in namespace: NetworkNamespace) throws -> [String] {
        do {
            return try RouteSocket.openBlocking(in: namespace).links().filter { link in
                (link.kind == "tun" || link.kind == KernelWireGuard.linkKind)
                    && link.alias.map(TunnelNaming.isCreationName) ?? false
            }.map(\.name)
        } catch let error as LinuxNetError where error.code == .namespaceMissing {
            return []
        }
    }

    /// Clears away what a crash between two steps left in the node's namespace: links that were never moved, and
    /// control sockets without a process. Only what is older than any call may last.
    func removeLeftovers() throws {
        let routes = try RouteSocket()
        for link in try routes.links() where link.kind == "tun" && TunnelNaming.isCreationName(link.name) {
            let device = try UserspaceWireGuard(creationName: link.name)
            guard Self.age(of: device.socketPath) > Self.leftoverAge else { continue }
            host.log(.notice, "removing a tunnel that was never finished", ["link": link.name])
            try routes.ensureNoLink(named: link.name)
            UserspaceProcess.stop(device)
        }
        for device in UserspaceWireGuard.abandoned() where Self.age(of: device.socketPath) > Self.leftoverAge {
            unlink(device.socketPath)
        }
    }

    /// Seconds; the host's time-out for tunnel calls is shorter.
    private static let leftoverAge = 120

    /// Seconds since the file was made; 0 if it is not there.
    private static func age(of path: String) -> Int {
        var information = stat()
        var now = timespec()
        guard stat(path, &information) == 0, clock_gettime(CLOCK_REALTIME, &now) == 0 else { return 0 }
        return now.tv_sec - information.st_mtim.tv_sec
    }
}
