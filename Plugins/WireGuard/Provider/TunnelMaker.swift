import Glibc
import LinuxNet
import ProviderKit

/// Makes one new tunnel link: in the node's namespace under its creation name, so that the UDP socket stays there,
/// then moved and renamed. Lives for one call, on a thread in the node's namespace. If any step fails, nothing stays.
struct TunnelMaker {
    let spec: TunnelSpec
    /// Bytes. Set before the move: a userspace process sees no changes of a link in another namespace.
    let mtu: Int
    let target: NamespaceHandle
    /// In the target namespace.
    let routes: RouteSocket

    /// - Parameter finish: Gets the moved link and does the rest.
    func make<R>(_ choice: TunnelForms.Choice, finish: (TunnelDevice) throws -> R) throws -> R {
        let node = try RouteSocket()
        let name = spec.creationName
        let process = try UserspaceWireGuard(creationName: name)
        // What an earlier attempt left that was cut short, or the end of a namespace that is not over yet.
        try node.ensureNoLink(named: name)
        UserspaceProcess.stop(process)
        do {
            try create(choice, process, node)
            guard let device = try TunnelDevice.find(spec.link, in: spec.namespace, routes) else {
                throw LinuxNetError.system("find link \(spec.link) after its move", errorNumber: ENODEV)
            }
            return try finish(device)
        } catch {
            _ = try? node.ensureNoLink(named: name)
            if let device = try? TunnelDevice.find(spec.link, in: spec.namespace, routes), device.link.alias == name {
                _ = try? routes.ensureNoLink(named: spec.link)
            }
            UserspaceProcess.stop(process)
            throw error
        }
    }

    private func create(
        _ choice: TunnelForms.Choice, _ process: UserspaceWireGuard, _ node: RouteSocket
    ) throws {
        let name = spec.creationName
        let backend: any WireGuardBackend
        switch choice {
        case .kernel:
            try node.createLink(name: name, kind: KernelWireGuard.linkKind)
            backend = try KernelWireGuard(socket: GenericNetlinkSocket(), link: name)
        case .userspace(let binary):
            try UserspaceProcess.start(binary: binary, for: process)
            backend = process
        }
        let link = try node.requireLink(named: name)
        try node.setAlias(name, index: link.index)
        try node.setMTU(UInt32(mtu), index: link.index)
        let podKey = try WireGuardPrivateKey.generate()
        try backend.configure(TunnelPlan.configuration(spec, WireGuardStatus(), podKey))
        if try target.identity() == NetworkNamespace(path: "/proc/thread-self/ns/net").open().identity() {
            try node.rename(index: link.index, to: spec.link)
        } else {
            try node.move(index: link.index, to: target, renamedTo: spec.link)
        }
    }
}
