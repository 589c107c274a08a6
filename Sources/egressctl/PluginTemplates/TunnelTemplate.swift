/// A provider of tunnel/1 in memory.
enum TunnelTemplate {
    static func source(_ name: String) -> String {
        #"""
        import FoundationEssentials
        import JSONModel
        import ProviderKit
        import Synchronization

        /// tunnel/1 in memory only: it remembers the links it was asked for and makes none. A restart forgets them.
        struct \#(name)Provider: Provider {
            static let descriptor = ProviderDescriptor(
                name: "\#(name)", version: "0.1.0", kind: .tunnel, capabilities: [Tunnel.identifier],
                configurationSchema: Settings.schema)

            let capabilities: [CapabilityBinding]

            /// Must not block, nor make anything in the world.
            init(host: ProviderHost, configuration: Data) throws {
                let settings = try Settings(json: configuration)
                capabilities = [CapabilityBinding(Links(mtu: settings.mtu ?? 1420))]
                host.log(.warning, "tunnels are kept in memory only; no packet passes")
            }
        }

        \#(settings)
        /// The verbs. They are called concurrently, from any thread: the state is behind a lock.
        final class Links: CapabilityProvider {
            typealias Contract = Tunnel

            /// What makes two requests mean the same link; an id is the host's word for it.
            private struct Key: Hashable {
                var namespace: String
                var link: String
            }

            private struct Link {
                var desired: Tunnel.Desired
                var observed: Tunnel.Observed
            }

            let offeredVerbs: Set<Verb> = [.ensure, .remove, .check, .prune, .status]
            private let mtu: Int
            private let links = Mutex<[Key: Link]>([:])

            init(mtu: Int) { self.mtu = mtu }

            /// Says what shall be: the same item twice changes nothing.
            func ensure(
                _ items: [Tunnel.Desired], _ context: CallContext
            ) async throws -> [ItemResult<Tunnel.Observed>] {
                items.map { item in
                    // A bad item fails alone.
                    if let mistake = Tunnel.mistake(in: item) { return .failed(item.id, ProviderError(.invalid, mistake)) }
                    return links.withLock { links in
                        let key = Key(namespace: item.namespace, link: item.link)
                        let publicKey = links[key]?.observed.publicKey ?? Self.newPublicKey()
                        let observed = Tunnel.Observed(
                            link: item.link, publicKey: publicKey, mtu: mtu, form: "memory", encrypted: false)
                        links[key] = Link(desired: item, observed: observed)
                        return .ok(item.id, observed)
                    }
                }
            }

            /// Removing what is not there succeeds.
            func remove(_ items: [Tunnel.Reference], _ context: CallContext) async throws -> [ItemResult<Nothing>] {
                links.withLock { links in
                    for item in items { links[Key(namespace: item.namespace, link: item.link)] = nil }
                }
                return items.map { .ok($0.id) }
            }

            /// `ok` without an observation says that there is no such link.
            func status(
                _ items: [Tunnel.Reference], _ context: CallContext
            ) async throws -> [ItemResult<Tunnel.Observed>] {
                let links = links.withLock { $0 }
                return items.map { .ok($0.id, links[Key(namespace: $0.namespace, link: $0.link)]?.observed) }
            }

            /// Compares and changes nothing. No line may hold a key.
            func check(_ items: [Tunnel.Desired], _ context: CallContext) async throws -> [ItemResult<Tunnel.Observed>] {
                let links = links.withLock { $0 }
                return items.map { item in
                    if let mistake = Tunnel.mistake(in: item) { return .failed(item.id, ProviderError(.invalid, mistake)) }
                    guard let link = links[Key(namespace: item.namespace, link: item.link)] else {
                        return .drifted(item.id, ["link: \(item.link) does not exist"])
                    }
                    var drift: [String] = []
                    if link.desired.addresses != item.addresses { drift.append("addresses: others than desired") }
                    if link.desired.gateway != item.gateway { drift.append("gateway: other than desired") }
                    if link.desired.pod != item.pod { drift.append("pod: other than desired") }
                    return drift.isEmpty ? .ok(item.id, link.observed) : .drifted(item.id, drift, link.observed)
                }
            }

            /// Removes what is not named, in the given namespaces and nowhere else.
            func prune(
                keeping items: [Tunnel.Reference], namespaces: [String], _ context: CallContext
            ) async throws -> [ItemResult<Nothing>] {
                let kept = Set(items.map { Key(namespace: $0.namespace, link: $0.link) })
                let searched = Set(namespaces)
                return links.withLock { links in
                    let unwanted = links.keys.filter { searched.contains($0.namespace) && !kept.contains($0) }
                    for key in unwanted { links[key] = nil }
                    return unwanted.enumerated().map { .ok("\($0.offset) \($0.element.link)") }
                }
            }

            /// A number in the place of a key: there is no private one. A real tunnel derives it from its private key.
            private static func newPublicKey() -> String {
                Data((0..<32).map { _ in UInt8.random(in: .min ... .max) }).base64EncodedString()
            }
        }

        """#
    }

    private static let settings = SettingsTemplate.source(
        members: "var mtu: Int?",
        properties: """
            "mtu": [
                "description": "MTU of tunnel links in bytes; absent: 1420.",
                "type": "integer", "minimum": 1280, "maximum": 65535,
            ]
            """)

    static let checkConfiguration = """
        # For egress-provider-check --config. The keys are no secrets: they encrypt nothing.
        config: { mtu: 1400 }
        capabilities:
          tunnel/1:
            items:
              - id: gateway
                namespace: /run/netns/gateway
                link: wg-6000
                addresses: ["fe80::1/64"]
                gateway:
                  port: 6000
                  privateKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
                  peers:
                    - id: default/pod
                      publicKey: Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=
                      allowedIPs: ["10.244.0.5/32"]
              - id: pod
                namespace: /run/netns/pod
                link: wg0
                addresses: ["fe80::2/64"]
                pod:
                  endpoint: { address: 10.0.0.4, port: 6000 }
                  gatewayPublicKey: Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=
            invalidItems:
              - id: long
                namespace: /run/netns/pod
                link: more-than-15-bytes
                addresses: ["fe80::2/64"]
                pod:
                  endpoint: { address: 10.0.0.4, port: 6000 }
                  gatewayPublicKey: Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=
            prune: { namespaces: [/run/netns/gateway, /run/netns/pod] }

        """
}
