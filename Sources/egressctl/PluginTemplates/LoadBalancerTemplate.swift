/// A provider of load-balancer/1 in memory.
enum LoadBalancerTemplate {
    static func source(_ name: String) -> String {
        #"""
        import FoundationEssentials
        import JSONModel
        import ProviderKit
        import Synchronization

        /// load-balancer/1 in memory only: it hands out ports and forwards nothing. A restart forgets who had which.
        struct \#(name)Provider: Provider {
            static let descriptor = ProviderDescriptor(
                name: "\#(name)", version: "0.1.0", kind: .loadBalancer, capabilities: [LoadBalancer.identifier],
                configurationSchema: Settings.schema)

            let capabilities: [CapabilityBinding]

            /// Must not block, nor make anything in the world.
            init(host: ProviderHost, configuration: Data) throws {
                let settings = try Settings(json: configuration)
                capabilities = [CapabilityBinding(Frontends(address: settings.frontendIP))]
                host.log(.warning, "frontends are kept in memory only; no packet is forwarded")
            }
        }

        \#(settings)
        /// The verbs. They are called concurrently, from any thread: the state is behind a lock.
        final class Frontends: CapabilityProvider {
            typealias Contract = LoadBalancer

            private struct Frontend {
                var desired: LoadBalancer.Desired
                var port: Int
            }

            /// The ports that gateways listen on (load-balancer-1.schema.json).
            private static let ports = 6000...6999

            let offeredVerbs: Set<Verb> = [.ensure, .remove, .check, .prune, .status]
            private let address: String
            private let frontends = Mutex<[String: Frontend]>([:])

            init(address: String) { self.address = address }

            /// Says what shall be: the same item twice changes nothing.
            func ensure(
                _ items: [LoadBalancer.Desired], _ context: CallContext
            ) async throws -> [ItemResult<LoadBalancer.Observed>] {
                frontends.withLock { frontends in
                    var taken = Set(frontends.values.map(\.port))
                    return items.map { item in
                        // A bad item fails alone.
                        if let mistake = LoadBalancer.mistake(in: item) {
                            return .failed(item.id, ProviderError(.invalid, mistake))
                        }
                        guard let port = frontends[item.id]?.port ?? Self.ports.first(where: { !taken.contains($0) })
                        else { return .failed(item.id, ProviderError(.terminal, "all ports are taken")) }
                        taken.insert(port)
                        let frontend = Frontend(desired: item, port: port)
                        frontends[item.id] = frontend
                        return .ok(item.id, observed(frontend))
                    }
                }
            }

            /// Removing what is not there succeeds.
            func remove(_ items: [PoolReference], _ context: CallContext) async throws -> [ItemResult<Nothing>] {
                frontends.withLock { frontends in
                    for item in items { frontends[item.id] = nil }
                }
                return items.map { .ok($0.id) }
            }

            /// `ok` without an observation says that there is no such frontend; no item asks for all that there are.
            func status(
                _ items: [PoolReference], _ context: CallContext
            ) async throws -> [ItemResult<LoadBalancer.Observed>] {
                let frontends = frontends.withLock { $0 }
                let ids = items.isEmpty ? Array(frontends.keys) : items.map(\.id)
                return ids.map { .ok($0, frontends[$0].map(observed)) }
            }

            /// Compares and changes nothing.
            func check(
                _ items: [LoadBalancer.Desired], _ context: CallContext
            ) async throws -> [ItemResult<LoadBalancer.Observed>] {
                let frontends = frontends.withLock { $0 }
                return items.map { item in
                    if let mistake = LoadBalancer.mistake(in: item) {
                        return .failed(item.id, ProviderError(.invalid, mistake))
                    }
                    guard let frontend = frontends[item.id] else {
                        return .drifted(item.id, ["frontend: does not exist"])
                    }
                    var drift: [String] = []
                    if frontend.desired.pool != item.pool { drift.append("pool: other than desired") }
                    if frontend.desired.probe != item.probe { drift.append("probe: other than desired") }
                    return drift.isEmpty
                        ? .ok(item.id, observed(frontend)) : .drifted(item.id, drift, observed(frontend))
                }
            }

            /// Removes what is not named. A real provider removes only what it can prove to be its own.
            func prune(
                keeping items: [PoolReference], namespaces: [String], _ context: CallContext
            ) async throws -> [ItemResult<Nothing>] {
                let kept = Set(items.map(\.id))
                return frontends.withLock { frontends in
                    let unwanted = frontends.keys.filter { !kept.contains($0) }
                    for id in unwanted { frontends[id] = nil }
                    return unwanted.map { .ok($0) }
                }
            }

            private func observed(_ frontend: Frontend) -> LoadBalancer.Observed {
                LoadBalancer.Observed(frontendIP: address, port: frontend.port)
            }
        }

        """#
    }

    private static let settings = SettingsTemplate.source(
        members: "var frontendIP: String",
        properties: """
            "frontendIP": [
                "description": "Private IPv4 address of the load balancer.", "type": "string", "format": "ipv4",
            ]
            """,
        required: ["frontendIP"])

    static let checkConfiguration = """
        # For egress-provider-check --config.
        config: { frontendIP: 10.0.0.4 }
        capabilities:
          load-balancer/1:
            items:
              - { id: a, pool: { nodepoolName: gwpool }, probe: { path: /gw/a, port: 8082 } }
              - { id: b, pool: { nodepoolName: gwpool }, probe: { path: /gw/b, port: 8082 } }
            invalidItems:
              - { id: path, pool: { nodepoolName: gwpool }, probe: { path: gw, port: 8082 } }
              - { id: port, pool: { nodepoolName: gwpool }, probe: { path: /gw/port, port: 0 } }
            prune: {}

        """
}
