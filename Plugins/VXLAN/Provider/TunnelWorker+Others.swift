import LinuxNet
import ProviderKit
import Synchronization

extension TunnelWorker {
    /// Removes a tunnel; one that is not there is success, and so is a link of that name that is somebody else's.
    func remove(namespace: NetworkNamespace, link: String) throws {
        do {
            let routes = try RouteSocket.openBlocking(in: namespace)
            if let found = try routes.link(named: link), TunnelLink(found) != nil {
                try routes.ensureNoLink(named: link)
            }
        } catch let error as LinuxNetError where error.code == .namespaceMissing {
            // The link went with it.
        }
    }

    /// - Returns: nil if there is no such tunnel.
    /// - Throws: `terminal` if the name belongs to a link of somebody else.
    func status(namespace: NetworkNamespace, link: String) throws -> Tunnel.Observed? {
        let routes = try RouteSocket.openBlocking(in: namespace)
        return try TunnelLink.find(link, in: namespace, routes)?.observed
    }

    /// Names of this provider's tunnel links in a namespace; none if it does not exist.
    func ownLinks(in namespace: NetworkNamespace) throws -> [String] {
        do {
            return try RouteSocket.openBlocking(in: namespace).links().compactMap { TunnelLink($0)?.link.name }
        } catch let error as LinuxNetError where error.code == .namespaceMissing {
            return []
        }
    }

    /// Clears away links that a crash between two steps left in the node's namespace before they were moved.
    func removeLeftovers() throws {
        let routes = try RouteSocket()
        for link in try routes.links()
        where link.kind == VXLANParameters.linkKind && TunnelNaming.isCreationName(link.name) {
            guard !making.withLock({ $0.contains(link.name) }) else { continue }
            host.log(.notice, "removing a tunnel that was never finished", ["link": link.name])
            try routes.ensureNoLink(named: link.name)
        }
    }
}
