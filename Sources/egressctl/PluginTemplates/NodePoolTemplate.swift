/// A provider of node-pool/1 in memory.
enum NodePoolTemplate {
    static func source(_ name: String) -> String {
        #"""
        import FoundationEssentials
        import JSONModel
        import ProviderKit
        import Synchronization

        /// node-pool/1 in memory only: it hands out the addresses of its settings and configures no node. A restart
        /// forgets who had which.
        struct \#(name)Provider: Provider {
            static let descriptor = ProviderDescriptor(
                name: "\#(name)", version: "0.1.0", kind: .nodePool, capabilities: [NodePool.identifier],
                configurationSchema: Settings.schema)

            let capabilities: [CapabilityBinding]

            /// Must not block, nor make anything in the world.
            init(host: ProviderHost, configuration: Data) throws {
                let settings = try Settings(json: configuration)
                capabilities = [CapabilityBinding(Addresses(settings.addresses))]
                host.log(.warning, "addresses are kept in memory only; no node gets one")
            }
        }

        \#(settings)
        /// The verbs. They are called concurrently, from any thread: the state is behind a lock.
        final class Addresses: CapabilityProvider {
            typealias Contract = NodePool

            private struct Lease {
                var desired: NodePool.Desired
                /// Index into `all`.
                var index: Int
            }

            let offeredVerbs: Set<Verb> = [.ensure, .remove, .check, .prune, .status]
            private let all: [NodePool.Observed]
            private let leases = Mutex<[String: Lease]>([:])

            init(_ all: [NodePool.Observed]) { self.all = all }

            /// Says what shall be: the same item twice changes nothing.
            func ensure(
                _ items: [NodePool.Desired], _ context: CallContext
            ) async throws -> [ItemResult<NodePool.Observed>] {
                leases.withLock { leases in
                    items.map { item in
                        // A bad item fails alone.
                        if let mistake = mistake(in: item) { return .failed(item.id, ProviderError(.invalid, mistake)) }
                        let taken = Set(leases.filter { $0.key != item.id }.values.map(\.index))
                        let free = all.indices.filter { !taken.contains($0) && fits(all[$0], item) }
                        // What the item has is the best choice.
                        let held = leases[item.id].map(\.index).flatMap { free.contains($0) ? $0 : nil }
                        guard let index = held ?? free.first else {
                            return .failed(item.id, ProviderError(.terminal, "no address that fits is free"))
                        }
                        let lease = Lease(desired: item, index: index)
                        leases[item.id] = lease
                        return .ok(item.id, observed(lease))
                    }
                }
            }

            /// Removing what is not there succeeds.
            func remove(_ items: [PoolReference], _ context: CallContext) async throws -> [ItemResult<Nothing>] {
                leases.withLock { leases in
                    for item in items { leases[item.id] = nil }
                }
                return items.map { .ok($0.id) }
            }

            /// `ok` without an observation says that the item has no address; no item asks for all that have one.
            func status(
                _ items: [PoolReference], _ context: CallContext
            ) async throws -> [ItemResult<NodePool.Observed>] {
                let leases = leases.withLock { $0 }
                let ids = items.isEmpty ? Array(leases.keys) : items.map(\.id)
                return ids.map { .ok($0, leases[$0].map(observed)) }
            }

            /// Compares and changes nothing.
            func check(
                _ items: [NodePool.Desired], _ context: CallContext
            ) async throws -> [ItemResult<NodePool.Observed>] {
                let leases = leases.withLock { $0 }
                return items.map { item in
                    if let mistake = mistake(in: item) { return .failed(item.id, ProviderError(.invalid, mistake)) }
                    guard let lease = leases[item.id] else { return .drifted(item.id, ["address: does not exist"]) }
                    var drift: [String] = []
                    if lease.desired.pool != item.pool { drift.append("pool: other than desired") }
                    if lease.desired.publicIPs != item.publicIPs { drift.append("publicIPs: other than desired") }
                    if !fits(all[lease.index], item) { drift.append("prefixLength: other than desired") }
                    return drift.isEmpty ? .ok(item.id, observed(lease)) : .drifted(item.id, drift, observed(lease))
                }
            }

            /// Removes what is not named. A real provider removes only what it can prove to be its own.
            func prune(
                keeping items: [PoolReference], namespaces: [String], _ context: CallContext
            ) async throws -> [ItemResult<Nothing>] {
                let kept = Set(items.map(\.id))
                return leases.withLock { leases in
                    let unwanted = leases.keys.filter { !kept.contains($0) }
                    for id in unwanted { leases[id] = nil }
                    return unwanted.map { .ok($0) }
                }
            }

            private func mistake(in item: NodePool.Desired) -> String? {
                if let mistake = NodePool.mistake(in: item) { return mistake }
                return item.prefixID == nil ? nil : "prefixID: is not supported; leave it out"
            }

            /// Whether the prefix has the length that the item asks for, if it asks for one.
            private func fits(_ address: NodePool.Observed, _ item: NodePool.Desired) -> Bool {
                guard item.publicIPs, let length = item.prefixLength else { return true }
                return address.egressPrefix.hasSuffix("/\(length)")
            }

            /// Without public addresses traffic leaves with the secondary ones.
            private func observed(_ lease: Lease) -> NodePool.Observed {
                var address = all[lease.index]
                if !lease.desired.publicIPs {
                    address.egressPrefix = address.nodes.map(\.secondaryIP).joined(separator: ",")
                }
                return address
            }
        }

        """#
    }

    private static let settings = SettingsTemplate.source(
        members: """
            /// As they are reported to the host.
            var addresses: [NodePool.Observed]
            """,
        properties: """
            "addresses": [
                "description": "What is handed out: a public prefix, and the address of each node behind it.",
                "type": "array", "maxItems": 1000,
                "items": [
                    "type": "object", "additionalProperties": false, "required": ["egressPrefix", "nodes"],
                    "properties": [
                        "egressPrefix": ["type": "string", "format": "cidr"],
                        "nodes": [
                            "type": "array", "maxItems": 100,
                            "items": [
                                "type": "object", "additionalProperties": false,
                                "required": ["nodeName", "primaryIP", "secondaryIP"],
                                "properties": [
                                    "nodeName": ["type": "string", "minLength": 1, "maxLength": 253],
                                    "primaryIP": ["type": "string", "format": "ipv4"],
                                    "secondaryIP": ["type": "string", "format": "ipv4"],
                                ],
                            ],
                        ],
                    ],
                ],
            ]
            """,
        required: ["addresses"])

    static let checkConfiguration = """
        # For egress-provider-check --config.
        config:
          addresses:
            - egressPrefix: 203.0.113.0/31
              nodes:
                - { nodeName: gateway-0, primaryIP: 10.0.0.10, secondaryIP: 10.0.0.20 }
                - { nodeName: gateway-1, primaryIP: 10.0.0.11, secondaryIP: 10.0.0.21 }
            - egressPrefix: 203.0.113.2/31
              nodes:
                - { nodeName: gateway-0, primaryIP: 10.0.0.10, secondaryIP: 10.0.0.30 }
                - { nodeName: gateway-1, primaryIP: 10.0.0.11, secondaryIP: 10.0.0.31 }
        capabilities:
          node-pool/1:
            items:
              - { id: a, pool: { nodepoolName: gwpool }, publicIPs: true, prefixLength: 31 }
              - { id: b, pool: { nodepoolName: gwpool }, publicIPs: false }
            invalidItems:
              - { id: long, pool: { nodepoolName: gwpool }, publicIPs: true, prefixLength: 129 }
              - { id: own, pool: { nodepoolName: gwpool }, publicIPs: true, prefixID: somebody-elses }
            prune: {}

        """
}
