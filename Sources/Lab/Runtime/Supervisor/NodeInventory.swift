import Foundation
import LinuxNet

/// What a node's network namespace holds, as lines for people; two inventories tell what came and what stayed.
public struct NodeInventory: Sendable, Codable, Equatable {
    /// One line per link, IPv4 address, routing rule, IPv4 route and nftables table.
    public var lines: Set<String>

    /// Reads a namespace.
    ///
    /// - Throws: `namespaceMissing` if it is not there.
    public static func capture(_ namespace: NetworkNamespace) async throws -> NodeInventory {
        try await namespace.run {
            let socket = try RouteSocket()
            let links = try socket.links()
            let names = Dictionary(links.map { ($0.index, $0.name) }) { first, _ in first }
            func name(_ index: UInt32?) -> String { index.flatMap { names[$0] } ?? "-" }
            var lines = Set(
                links.map { link in
                    "link \(link.name)" + (link.controllerIndex == nil ? "" : " in \(name(link.controllerIndex))")
                })
            for address in try socket.addresses(family: .ipv4) {
                lines.insert("address \(address) on \(name(address.linkIndex))")
            }
            for rule in try socket.rules() { lines.insert("rule \(rule)") }
            for route in try socket.routes(table: nil, family: .ipv4) where route.table != Route.localTable {
                lines.insert("route \(route.destination) table \(route.table) on \(name(route.linkIndex))")
            }
            for table in try NFTables.run("list tables").split(separator: "\n") { lines.insert("nftables \(table)") }
            return NodeInventory(lines: lines)
        }
    }

    /// What is here and was not there, without what the pod network's own plugin leaves on a node that once had pods:
    /// the bridge with its address, route and the other pods' links, and iptables' tables.
    public func leftovers(since baseline: NodeInventory) -> [String] {
        lines.subtracting(baseline.lines)
            .filter { line in
                !line.hasSuffix(" cni0") && !["nftables table ip nat", "nftables table ip filter"].contains(line)
            }
            .sorted()
    }
}

/// What all nodes held when the lab had wired them and none of our daemons had run.
public struct NodeBaseline: Sendable, Codable, Equatable {
    /// By node name.
    public var inventories: [String: NodeInventory] = [:]

    public init() {}

    private static func path(_ layout: LabLayout) -> String { "\(layout.stateDirectory)/baseline.json" }

    /// - Throws: `notUp` if the lab has not written one.
    public static func load(_ layout: LabLayout) throws -> NodeBaseline {
        guard let data = FileManager.default.contents(atPath: path(layout)) else {
            throw LabError(
                code: .notUp, message: "\(path(layout)) is missing", advice: "start the lab with: egressctl lab up")
        }
        return try JSONDecoder().decode(NodeBaseline.self, from: data)
    }

    func save(_ layout: LabLayout) throws {
        try JSONEncoder().encode(self).write(to: URL(filePath: Self.path(layout)), options: .atomic)
    }

    /// What the nodes hold now beyond this, one line each, and gateways' egress namespaces that exist.
    public func leftovers(_ plan: LabPlan) async throws -> [String] {
        var result: [String] = []
        for (node, baseline) in inventories.sorted(by: { $0.key < $1.key }) {
            let namespace = try NetworkNamespace(name: plan.namespace(ofNode: node))
            let lines = try await NodeInventory.capture(namespace).leftovers(since: baseline)
            result += lines.map { "\(node): \($0)" }
        }
        for node in LabPlan.gatewayNames {
            let name = plan.egressNamespace(ofNode: node)
            if try NetworkNamespace(name: name).exists { result.append("\(node): namespace \(name)") }
        }
        return result
    }
}
