import Glibc
import LinuxNet
import ProviderKit

/// Makes one new tunnel link: in the node's namespace under its creation name, so that the UDP socket lives there, then
/// moved and renamed. Lives for one call, on a thread in the node's namespace. If any step fails, nothing stays.
struct TunnelMaker {
    let spec: TunnelSpec
    /// For a pod's end, the node's address that gateways know.
    let source: IPAddress?
    let family: IPAddress.Family
    /// Bytes.
    let mtu: Int
    let target: NamespaceHandle
    /// In the target namespace.
    let routes: RouteSocket

    /// How long a gateway's port may still belong to the tunnel that was there before: a process that notices the end
    /// of its link, or a namespace that the kernel takes down in its own time.
    private static let patience = Duration.seconds(2)
    private static let pause: UInt32 = 20_000

    /// - Parameters:
    ///   - former: The pod's end that was there before; the new one keeps its port, if that is free, and MAC address.
    ///   - finish: Gets the moved link, sets it up and does the rest.
    func make<R>(_ ports: PortPool, keeping former: TunnelLink?, finish: (TunnelLink) throws -> R) throws -> R {
        switch spec.end {
        case .gateway(let port, _, _):
            let deadline = ContinuousClock.now + Self.patience
            while true {
                do {
                    return try makeOnce(port, spec.identity.hardwareAddress, finish)
                } catch let error as LinuxNetError where Self.isTaken(error) && ContinuousClock.now < deadline {
                    usleep(Self.pause)
                }
            }
        case .pod:
            var generator = SystemRandomNumberGenerator()
            let station = former?.hardwareAddress ?? MACAddress.random(using: &generator)
            if let port = former?.vxlan.port, let result = try attempt(port, station, finish) { return result }
            return try ports.withPort(for: spec.creationName, family: family) { try attempt($0, station, finish) }
        }
    }

    /// - Returns: Nil if the port is taken.
    private func attempt<R>(
        _ port: UInt16, _ station: MACAddress, _ finish: (TunnelLink) throws -> R
    ) throws -> R? {
        do {
            return try makeOnce(port, station, finish)
        } catch let error as LinuxNetError where Self.isTaken(error) {
            return nil
        }
    }

    /// EEXIST: another VXLAN link has the port with the same identifier. EADDRINUSE: any other socket has it.
    private static func isTaken(_ error: LinuxNetError) -> Bool {
        error.errorNumber == EEXIST || error.errorNumber == EADDRINUSE
    }

    private func makeOnce<R>(
        _ port: UInt16, _ station: MACAddress, _ finish: (TunnelLink) throws -> R
    ) throws -> R {
        let node = try RouteSocket()
        let name = spec.creationName
        // What an earlier attempt left that was cut short.
        try node.ensureNoLink(named: name)
        do {
            // The kernel wants the end of a range of source ports, which the last port has not.
            let parameters = VXLANParameters(
                identifier: spec.identity.identifier, port: port, sourcePort: min(port, 65_534), source: source)
            try node.createVXLAN(
                name: name, parameters, family: family, hardwareAddress: station, mtu: UInt32(mtu))
            let index = try node.requireLink(named: name).index
            let mark = LinkMark(creationName: name, family: family, gatewayKey: spec.gatewayKey)
            try node.setAlias(mark.alias, index: index)
            if try target.identity() == NetworkNamespace(path: "/proc/thread-self/ns/net").open().identity() {
                try node.rename(index: index, to: spec.link)
            } else {
                try node.move(index: index, to: target, renamedTo: spec.link)
            }
            guard let tunnel = try TunnelLink.find(spec.link, in: spec.namespace, routes) else {
                throw LinuxNetError.system("find link \(spec.link) after its move", errorNumber: ENODEV)
            }
            return try finish(tunnel)
        } catch {
            _ = try? node.ensureNoLink(named: name)
            if let found = try? routes.link(named: spec.link), TunnelLink(found)?.mark.creationName == name {
                _ = try? routes.ensureNoLink(named: spec.link)
            }
            throw error
        }
    }
}
