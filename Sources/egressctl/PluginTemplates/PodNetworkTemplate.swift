/// A provider of pod-network/1 in memory.
enum PodNetworkTemplate {
    static func source(_ name: String) -> String {
        #"""
        import FoundationEssentials
        import JSONModel
        import ProviderKit
        import Synchronization

        /// pod-network/1 in memory only: it works out routes and sets none. A restart forgets them.
        struct \#(name)Provider: Provider {
            static let descriptor = ProviderDescriptor(
                name: "\#(name)", version: "0.1.0", kind: .podNetwork, capabilities: [PodNetwork.identifier],
                configurationSchema: Settings.schema)

            let capabilities: [CapabilityBinding]

            /// Must not block, nor make anything in the world.
            init(host: ProviderHost, configuration: Data) throws {
                let settings = try Settings(json: configuration)
                capabilities = [CapabilityBinding(Attachments(nextHop: settings.nextHop ?? "fe80::1"))]
                host.log(.warning, "routes are kept in memory only; no pod gets one")
            }
        }

        \#(settings)
        /// The verbs. They are called concurrently, from any thread: the state is behind a lock.
        final class Attachments: CapabilityProvider {
            typealias Contract = PodNetwork

            /// What makes two requests mean the same attachment; an id is the host's word for it.
            private struct Key: Hashable {
                var namespace: String
                var interface: String
                var tunnelLink: String

                init(_ item: PodNetwork.Desired) {
                    (namespace, interface, tunnelLink) = (item.namespace, item.interface, item.tunnelLink)
                }

                init(_ item: PodNetwork.Reference) {
                    (namespace, interface, tunnelLink) = (item.namespace, item.interface, item.tunnelLink)
                }
            }

            let offeredVerbs: Set<Verb> = [.ensure, .remove, .check, .prune, .status]
            private let nextHop: String
            private let attachments = Mutex<[Key: PodNetwork.Observed]>([:])

            init(nextHop: String) { self.nextHop = nextHop }

            /// Says what shall be: the same item twice changes nothing.
            func ensure(
                _ items: [PodNetwork.Desired], _ context: CallContext
            ) async throws -> [ItemResult<PodNetwork.Observed>] {
                items.map { item in
                    // A bad item fails alone.
                    if let mistake = PodNetwork.mistake(in: item) {
                        return .failed(item.id, ProviderError(.invalid, mistake))
                    }
                    let observed = desiredState(of: item)
                    attachments.withLock { $0[Key(item)] = observed }
                    return .ok(item.id, observed)
                }
            }

            /// Removing what is not there succeeds.
            func remove(_ items: [PodNetwork.Reference], _ context: CallContext) async throws -> [ItemResult<Nothing>] {
                attachments.withLock { attachments in
                    for item in items { attachments[Key(item)] = nil }
                }
                return items.map { .ok($0.id) }
            }

            /// `ok` without an observation says that there is no such attachment.
            func status(
                _ items: [PodNetwork.Reference], _ context: CallContext
            ) async throws -> [ItemResult<PodNetwork.Observed>] {
                let attachments = attachments.withLock { $0 }
                return items.map { .ok($0.id, attachments[Key($0)]) }
            }

            /// Compares and changes nothing.
            func check(
                _ items: [PodNetwork.Desired], _ context: CallContext
            ) async throws -> [ItemResult<PodNetwork.Observed>] {
                let attachments = attachments.withLock { $0 }
                return items.map { item in
                    if let mistake = PodNetwork.mistake(in: item) {
                        return .failed(item.id, ProviderError(.invalid, mistake))
                    }
                    guard let observed = attachments[Key(item)] else {
                        return .drifted(item.id, ["attachment: does not exist"])
                    }
                    return observed == desiredState(of: item)
                        ? .ok(item.id, observed) : .drifted(item.id, ["routes: other than desired"], observed)
                }
            }

            /// Removes what is not named, in the given namespaces and nowhere else.
            func prune(
                keeping items: [PodNetwork.Reference], namespaces: [String], _ context: CallContext
            ) async throws -> [ItemResult<Nothing>] {
                let kept = Set(items.map { Key($0) })
                let searched = Set(namespaces)
                return attachments.withLock { attachments in
                    let unwanted = attachments.keys.filter { searched.contains($0.namespace) && !kept.contains($0) }
                    for key in unwanted { attachments[key] = nil }
                    return unwanted.enumerated().map { .ok("\($0.offset) \($0.element.tunnelLink)") }
                }
            }

            /// `excludedCIDRs` take the other path than the default route; `exceptionCIDRs` never take the tunnel.
            private func desiredState(of item: PodNetwork.Desired) -> PodNetwork.Observed {
                let tunnelled: [String]
                let direct: [String]
                switch item.defaultRoute {
                case .staticEgressGateway: (tunnelled, direct) = (["0.0.0.0/0"], item.excludedCIDRs + item.exceptionCIDRs)
                case .azureNetworking: (tunnelled, direct) = (item.excludedCIDRs, [])
                }
                return PodNetwork.Observed(
                    routes: tunnelled.map { PodNetwork.Route(destination: $0, gateway: nextHop) }
                        + direct.map { PodNetwork.Route(destination: $0, gateway: nil) })
            }
        }

        """#
    }

    private static let settings = SettingsTemplate.source(
        members: "var nextHop: String?",
        properties: """
            "nextHop": [
                "description": "IPv6 address of the tunnel's far end; absent: fe80::1.",
                "type": "string", "format": "ipv6",
            ]
            """)

    static let checkConfiguration = """
        # For egress-provider-check --config.
        config: { nextHop: "fe80::1" }
        capabilities:
          pod-network/1:
            items:
              - id: a
                namespace: /run/netns/a
                interface: eth0
                tunnelLink: wg0
                defaultRoute: staticEgressGateway
                excludedCIDRs: ["192.0.2.0/24"]
                exceptionCIDRs: ["10.0.0.0/8"]
              - id: b
                namespace: /run/netns/b
                interface: eth0
                tunnelLink: wg0
                defaultRoute: azureNetworking
                excludedCIDRs: ["192.0.2.0/24"]
                exceptionCIDRs: []
            invalidItems:
              - id: long
                namespace: /run/netns/a
                interface: eth0
                tunnelLink: more-than-15-bytes
                defaultRoute: staticEgressGateway
                excludedCIDRs: []
                exceptionCIDRs: []
            prune: { namespaces: [/run/netns/a, /run/netns/b] }

        """
}
