import Foundation
import JSONModel
import Testing

@testable import ProviderKit

/// A value of a contract type, and the subschema that describes it.
struct Specimen: Sendable, CustomTestStringConvertible {
    var capability: String
    var definition: String
    var form: String
    var value: JSONValue
    var decode: @Sendable (Data) throws -> Void
    /// Mutations that the schema refuses and decoding accepts, as `drop PATH` and `type PATH`, on purpose: what
    /// decoding of one member cannot see.
    var differences: Set<String>

    var testDescription: String { "\(capability) \(definition), \(form)" }

    init<Value: Codable & Sendable>(
        _ contract: any CapabilityContract.Type, _ definition: String, _ form: String, _ value: Value,
        differences: Set<String> = []
    ) throws {
        capability = contract.identifier
        self.definition = definition
        self.form = form
        self.value = try JSONValue(encoding: value)
        decode = { _ = try JSONDecoder().decode(Value.self, from: $0) }
        self.differences = differences
    }
}

/// Holds the Swift types and the schemas together: both accept the same values and refuse the same mutations.
@Suite struct ContractSchemaTests {
    private static let key = Data(repeating: 7, count: 32).base64EncodedString()
    private static let byName = PoolSelector(nodepoolName: "gwpool")
    private static let byScaleSet = PoolSelector(scaleSet: .init(resourceGroup: "rg", name: "vmss"))
    /// Exactly one member of a pool is there; a missing one is found by the provider.
    private static let namedPool: Set = ["drop /pool/nodepoolName"]
    private static let scaleSetPool: Set = ["drop /pool/scaleSet"]

    private static func loadBalancer() throws -> [Specimen] {
        let probe = LoadBalancer.Probe(path: "/gw/u", port: 8082)
        return [
            try Specimen(
                LoadBalancer.self, "desired", "by node pool",
                LoadBalancer.Desired(id: "u", pool: byName, probe: probe), differences: namedPool),
            try Specimen(
                LoadBalancer.self, "desired", "by scale set",
                LoadBalancer.Desired(id: "u", pool: byScaleSet, probe: probe), differences: scaleSetPool),
            try Specimen(
                LoadBalancer.self, "reference", "by node pool", PoolReference(id: "u", pool: byName),
                differences: namedPool),
            try Specimen(
                LoadBalancer.self, "observed", "all", LoadBalancer.Observed(frontendIP: "10.0.0.4", port: 6000)),
        ]
    }

    private static func nodePool() throws -> [Specimen] {
        let node = NodePool.Node(nodeName: "gateway-1", primaryIP: "10.1.0.4", secondaryIP: "10.1.0.5")
        var dualNode = node
        dualNode.secondaryIPv6 = "fd00::5"
        return [
            try Specimen(
                NodePool.self, "desired", "all",
                NodePool.Desired(
                    id: "u", pool: byScaleSet, publicIPs: true, prefixLength: 31, prefixID: "/subscriptions/s",
                    ipFamilies: [.ipv4, .ipv6]),
                differences: scaleSetPool),
            try Specimen(
                NodePool.self, "desired", "least",
                NodePool.Desired(id: "u", pool: byName, publicIPs: false, prefixLength: nil, prefixID: nil),
                differences: namedPool),
            try Specimen(
                NodePool.self, "reference", "by scale set", PoolReference(id: "u", pool: byScaleSet),
                differences: scaleSetPool),
            try Specimen(
                NodePool.self, "observed", "all",
                NodePool.Observed(
                    egressPrefix: "203.0.113.2/31", egressPrefixV6: "2001:db8::2/127", nodes: [node, dualNode])),
            try Specimen(NodePool.self, "observed", "least", NodePool.Observed(egressPrefix: "", nodes: [])),
        ]
    }

    private static func tunnel() throws -> [Specimen] {
        let peer = Tunnel.Peer(id: "ns/pod", publicKey: key, allowedIPs: ["10.0.0.7/32"])
        let status = Tunnel.PeerStatus(
            publicKey: key, lastHandshakeSeconds: 3, receivedBytes: 1 << 40, sentBytes: 0)
        let silent = Tunnel.PeerStatus(publicKey: key, lastHandshakeSeconds: nil, receivedBytes: 0, sentBytes: 0)
        return [
            try Specimen(
                Tunnel.self, "desired", "gateway end",
                Tunnel.Desired(
                    id: "u", namespace: "/run/netns/gw", link: "wg-6000", addresses: ["fe80::1/64"],
                    gateway: .init(port: 6000, privateKey: key, peers: [peer])), differences: ["drop /gateway"]),
            try Specimen(
                Tunnel.self, "desired", "gateway end without peers",
                Tunnel.Desired(
                    id: "u", namespace: "/run/netns/gw", link: "wg-6000", addresses: [],
                    gateway: .init(port: 6000, privateKey: key, peers: [])), differences: ["drop /gateway"]),
            try Specimen(
                Tunnel.self, "desired", "pod end",
                Tunnel.Desired(
                    id: "u", namespace: "/run/netns/pod", link: "wg0", addresses: ["fe80::2/64", "10.0.0.7/32"],
                    pod: .init(endpoint: .init(address: "10.0.0.4", port: 6000), gatewayPublicKey: key)),
                differences: ["drop /pod"]),
            try Specimen(
                Tunnel.self, "reference", "all",
                Tunnel.Reference(id: "u", namespace: "/run/netns/gw", link: "wg-6000")),
            try Specimen(
                Tunnel.self, "observed", "all",
                Tunnel.Observed(
                    link: "wg0", publicKey: key, mtu: 1420, form: "kernel", encrypted: true, peers: [status, silent])),
            try Specimen(
                Tunnel.self, "observed", "least",
                Tunnel.Observed(link: "wg0", publicKey: key, mtu: 1420, form: "userspace")),
        ]
    }

    private static func podNetwork() throws -> [Specimen] {
        [
            try Specimen(
                PodNetwork.self, "desired", "all",
                PodNetwork.Desired(
                    id: "u", namespace: "/run/netns/pod", interface: "eth0", tunnelLink: "wg0",
                    defaultRoute: .staticEgressGateway, excludedCIDRs: ["10.0.0.0/8"],
                    exceptionCIDRs: ["fd00::/8", "192.168.0.0/16"])),
            try Specimen(
                PodNetwork.self, "desired", "least",
                PodNetwork.Desired(
                    id: "u", namespace: "/run/netns/pod", interface: "eth0", tunnelLink: "wg0",
                    defaultRoute: .azureNetworking, excludedCIDRs: [], exceptionCIDRs: [])),
            try Specimen(
                PodNetwork.self, "reference", "all",
                PodNetwork.Reference(id: "u", namespace: "/run/netns/pod", interface: "eth0", tunnelLink: "wg0")),
            try Specimen(
                PodNetwork.self, "observed", "all",
                PodNetwork.Observed(routes: [
                    .init(destination: "0.0.0.0/0", gateway: "10.0.0.1"),
                    .init(destination: "10.0.0.1/32", gateway: nil),
                ])),
        ]
    }

    /// The forms of an item's result, for every capability the same.
    private static func results<Contract: CapabilityContract>(
        _ contract: Contract.Type, _ observed: Contract.Observed
    ) throws -> [Specimen] {
        typealias Result = ItemResult<Contract.Observed>
        let failure = Result(
            id: "u", code: .throttled, message: "slow down", retryAfterMilliseconds: 1500, reason: "QuotaExceeded")
        return [
            try Specimen(
                contract, "ensured", "ok", Result.ok("u", observed), differences: ["drop /observed"]),
            try Specimen(contract, "ensured", "failed", failure),
            try Specimen(contract, "found", "ok", Result.ok("u", observed)),
            try Specimen(contract, "found", "absent", Result.ok("u")),
            try Specimen(contract, "found", "failed", failure),
            try Specimen(contract, "checked", "ok", Result.ok("u", observed)),
            try Specimen(
                contract, "checked", "drifted", Result.drifted("u", ["port: is 1, desired 2"], observed),
                differences: ["drop /drift"]),
            try Specimen(contract, "checked", "failed", failure),
            try Specimen(contract, "done", "ok", ItemResult<Nothing>.ok("u")),
            // A type without members decodes from anything.
            try Specimen(
                contract, "done", "with observed", ItemResult<Nothing>.ok("u", Nothing()),
                differences: ["type /observed"]),
        ]
    }

    static let specimens: [Specimen] = {
        do {
            return try loadBalancer() + nodePool() + tunnel() + podNetwork()
                + results(LoadBalancer.self, .init(frontendIP: "10.0.0.4", port: 6999))
                + results(NodePool.self, .init(egressPrefix: "203.0.113.2/31", nodes: []))
                + results(Tunnel.self, .init(link: "wg0", publicKey: key, mtu: 1420, form: "kernel"))
                + results(PodNetwork.self, .init(routes: []))
        } catch {
            fatalError("\(error)")
        }
    }()

    private static func schema(_ specimen: Specimen) throws -> JSONSchema {
        let text = try #require(CapabilitySchemas.text(of: specimen.capability))
        return try JSONSchema(compiling: JSONValue(json: text), at: "/$defs/\(specimen.definition)")
    }

    @Test(arguments: specimens)
    func schemaAndTypeAcceptAndRefuseTheSame(_ specimen: Specimen) throws {
        let schema = try Self.schema(specimen)
        #expect(schema.mistakes(in: specimen.value) == [])
        try specimen.decode(specimen.value.json())
        var unused = specimen.differences
        for mutation in Mutation.all(of: specimen.value) {
            let refused = !schema.mistakes(in: mutation.value).isEmpty
            let decodes = (try? specimen.decode(mutation.value.json())) != nil
            if mutation.kind == "type" { #expect(refused, "the schema accepts: \(mutation)") }
            if unused.remove(mutation.description) != nil {
                #expect(refused && decodes, "no difference any more: \(mutation)")
            } else {
                #expect(refused == !decodes, "\(mutation): refused by the schema \(refused), decodes \(decodes)")
            }
        }
        #expect(unused.isEmpty)
    }

    /// Decoding takes null for absent; the schemas do not, so that a plugin in another language need not.
    @Test(arguments: specimens)
    func nullIsRefusedBySchemas(_ specimen: Specimen) throws {
        let schema = try Self.schema(specimen)
        for mutation in Mutation.all(of: specimen.value, kinds: ["null"]) {
            #expect(!schema.mistakes(in: mutation.value).isEmpty, "\(mutation)")
        }
    }

    @Test(arguments: specimens)
    func unknownMembersAreIgnored(_ specimen: Specimen) throws {
        var value = specimen.value
        value["aLaterMember"] = ["x": 1]
        #expect(try Self.schema(specimen).mistakes(in: value) == [])
        try specimen.decode(value.json())
    }

    /// Every item of the specimens goes through the whole request and result of the verbs that use it.
    @Test(arguments: specimens)
    func requestsAndResultsOfVerbsHoldTheItem(_ specimen: Specimen) throws {
        let verbs: [(Verb, CapabilitySchemas.Direction)] =
            switch specimen.definition {
            case "desired": [(.ensure, .request), (.check, .request)]
            case "reference": [(.remove, .request), (.status, .request)]
            case "ensured": [(.ensure, .result)]
            case "checked": [(.check, .result)]
            case "found": [(.status, .result)]
            case "done": [(.remove, .result), (.prune, .result)]
            default: []
            }
        for (verb, direction) in verbs {
            let schema = try #require(
                direction == .request
                    ? CapabilitySchemas.request(specimen.capability, verb)
                    : CapabilitySchemas.result(specimen.capability, verb))
            #expect(schema.mistakes(in: ["items": [specimen.value]]) == [])
            #expect(schema.mistakes(in: ["items": []]) == [])
            #expect(schema.mistakes(in: ["items": [1]]).map(\.path) == ["/items/0"])
            #expect(schema.mistakes(in: [:]).map(\.path) == ["/items"])
        }
    }

    @Test func pruneOfNamespacedCapabilitiesNamesItsScope() throws {
        for capability in [Tunnel.identifier, PodNetwork.identifier] {
            let schema = try #require(CapabilitySchemas.request(capability, .prune))
            let request = BatchRequest<Tunnel.Reference>(items: [], namespaces: ["/run/netns/gw"])
            #expect(schema.mistakes(in: try JSONValue(encoding: request)) == [])
            #expect(schema.mistakes(in: ["items": []]).map(\.path) == ["/namespaces"])
        }
        for capability in [LoadBalancer.identifier, NodePool.identifier] {
            let schema = try #require(CapabilitySchemas.request(capability, .prune))
            #expect(schema.mistakes(in: ["items": []]) == [])
        }
    }
}

/// A value with one member dropped or of another type.
struct Mutation: CustomStringConvertible {
    var kind: String
    var path: String
    var value: JSONValue

    var description: String { "\(kind) \(path)" }

    static func all(of value: JSONValue, kinds: Set<String> = ["drop", "type"]) -> [Mutation] {
        var mutations: [Mutation] = []
        switch value {
        case .object(let members):
            for (name, child) in members.sorted(by: { $0.key < $1.key }) {
                func changed(_ new: JSONValue?) -> JSONValue {
                    var copy = members
                    copy[name] = new
                    return .object(copy)
                }
                if kinds.contains("drop") {
                    mutations.append(.init(kind: "drop", path: "/\(name)", value: changed(nil)))
                }
                if kinds.contains("type") {
                    mutations.append(.init(kind: "type", path: "/\(name)", value: changed(other(than: child))))
                }
                if kinds.contains("null") {
                    mutations.append(.init(kind: "null", path: "/\(name)", value: changed(.null)))
                }
                mutations += all(of: child, kinds: kinds).map {
                    .init(kind: $0.kind, path: "/\(name)\($0.path)", value: changed($0.value))
                }
            }
        case .array(let elements):
            for (index, child) in elements.enumerated() {
                func changed(_ new: JSONValue) -> JSONValue {
                    var copy = elements
                    copy[index] = new
                    return .array(copy)
                }
                if kinds.contains("type") {
                    mutations.append(.init(kind: "type", path: "/\(index)", value: changed(other(than: child))))
                }
                mutations += all(of: child, kinds: kinds).map {
                    .init(kind: $0.kind, path: "/\(index)\($0.path)", value: changed($0.value))
                }
            }
        default: break
        }
        return mutations
    }

    private static func other(than value: JSONValue) -> JSONValue {
        if case .string = value { return 17 }
        return "text"
    }
}
