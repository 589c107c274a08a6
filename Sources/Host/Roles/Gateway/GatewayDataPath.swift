import LinuxNet
import Logging
import ProviderKit

/// Brings a gateway node's kernel and tunnels to a plan. The only place that changes them.
///
/// In steady state only differences are applied. After a failure, and when told that the world may have moved, the
/// kernel is read again and everything is put right.
actor GatewayDataPath {
    /// What came of a plan.
    struct Outcome: Sendable, Equatable {
        /// UIDs of the servers whose tunnel stands with all its peers.
        var ready: Set<String> = []
        /// Why the others do not, by UID.
        var failures: [String: String] = [:]
    }

    private let namespaces: GatewayNamespaces
    private let tunnel: any CapabilityClient<Tunnel>
    private let logger: Logger
    /// Nil: not known, read the kernel.
    private var applied: GatewayNetworkState?
    /// Said while a plan is being applied, it is for the next one.
    private var isDriftExpected = false
    /// Tunnel servers that stand, by UID.
    private var tunnels: [String: Tunnel.Desired] = [:]

    init(namespaces: GatewayNamespaces, tunnel: any CapabilityClient<Tunnel>, logger: Logger) {
        self.namespaces = namespaces
        self.tunnel = tunnel
        self.logger = logger
    }

    /// The next ``apply(_:privateKeys:)`` reads the kernel and repairs what moved.
    func expectDrift() {
        isDriftExpected = true
    }

    /// Makes the node serve the plan.
    ///
    /// Order: rules, addresses and routes, tunnels, and last what attracts traffic; then what is no longer wanted goes,
    /// in the opposite order. So a packet finds either its whole way or none.
    ///
    /// - Parameter privateKeys: base64, by the server's UID; a server without one is a failure of that server.
    /// - Throws: ``LinuxNetError`` or ``ProviderError``; what was done so far stays and is repaired by the next call.
    func apply(_ plan: GatewayPlan, privateKeys: [String: String]) async throws -> Outcome {
        let previous = isDriftExpected ? nil : applied
        isDriftExpected = false
        applied = nil
        let wanted = GatewayNetworkState(plan)
        if plan.servers.isEmpty {
            if previous != GatewayNetworkState() { return try await clear() }
            applied = previous
            return Outcome()
        }
        let isComplete = previous == nil
        let current: GatewayNetworkState
        if let previous { current = previous } else { current = try await namespaces.observe() }
        let delta = GatewayNetworkDelta(from: current, to: wanted, isComplete: isComplete)
        if isComplete || previous == GatewayNetworkState() {
            try await namespaces.prepare()
            try await namespaces.setRules(
                gateway: GatewayRules.gatewayTable(wanted.sources),
                node: GatewayRules.nodeTable(wanted.secondaryAddresses))
        } else {
            try await namespaces.setRules(
                gateway: GatewayRules.changing(delta),
                node: GatewayRules.keeping(
                    add: delta.addedSecondaryAddresses, remove: delta.removedSecondaryAddresses))
        }
        try await namespaces.addPaths(delta)
        let outcome = try await serve(plan, privateKeys: privateKeys, isComplete: isComplete)
        try await namespaces.addLoadBalancerAddresses(delta.addedLoadBalancerAddresses)
        try await namespaces.removeLoadBalancerAddresses(delta.removedLoadBalancerAddresses)
        try await namespaces.removePaths(delta.removedSecondaryAddresses)
        applied = outcome.failures.isEmpty ? wanted : nil
        return outcome
    }

    private func reference(_ id: String, _ link: String) -> Tunnel.Reference {
        Tunnel.Reference(id: id, namespace: namespaces.gateway.path, link: link)
    }

    /// Ensures the tunnel servers that changed, removes those that are not in the plan.
    private func serve(
        _ plan: GatewayPlan, privateKeys: [String: String], isComplete: Bool
    ) async throws -> Outcome {
        var outcome = Outcome()
        var changed: [Tunnel.Desired] = []
        let links = Dictionary(uniqueKeysWithValues: plan.servers.map { ($0.uid, $0.link) })
        // First, because a new server may need the port or the link name of an old one.
        outcome.failures = try await removeTunnels(tunnels.values.filter { links[$0.id] != $0.link })
        if isComplete { try await prune(keeping: plan.servers.map { reference($0.uid, $0.link) }) }
        for server in plan.servers {
            guard let privateKey = privateKeys[server.uid] else {
                outcome.failures[server.uid] = "its private key is not known"
                continue
            }
            let desired = Tunnel.Desired(
                id: server.uid, namespace: namespaces.gateway.path, link: server.link, addresses: ["fe80::1/64"],
                gateway: Tunnel.GatewayEnd(
                    port: Int(server.port), privateKey: privateKey,
                    peers: server.peers.map {
                        Tunnel.Peer(
                            id: $0.endpoint, publicKey: $0.publicKey, allowedIPs: ["\(IPPrefix(host: $0.address))"])
                    }))
            if !isComplete, tunnels[server.uid] == desired {
                outcome.ready.insert(server.uid)
            } else {
                changed.append(desired)
            }
        }
        guard !changed.isEmpty else { return outcome }
        let keys = Dictionary(uniqueKeysWithValues: plan.servers.map { ($0.uid, $0.publicKey) })
        let results = try await tunnel.ensure(changed)
        let byID = Dictionary(results.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        for desired in changed {
            let result = byID[desired.id]
            if result?.code != .ok {
                outcome.failures[desired.id] = result?.message ?? "the tunnel provider says nothing about it"
            } else if let key = result?.observed?.publicKey, key != keys[desired.id] {
                outcome.failures[desired.id] = "its Secret's key has the public half \(key), not the one in its status"
            } else {
                tunnels[desired.id] = desired
                outcome.ready.insert(desired.id)
            }
        }
        return outcome
    }

    /// - Returns: why the others could not be removed, by UID; they are tried again by the next call.
    private func removeTunnels(_ unwanted: [Tunnel.Desired]) async throws -> [String: String] {
        guard !unwanted.isEmpty else { return [:] }
        let results = try await tunnel.remove(unwanted.map { reference($0.id, $0.link) })
        for result in results where result.code == .ok { tunnels[result.id] = nil }
        let failed = unwanted.filter { tunnels[$0.id] != nil }
        return Dictionary(
            uniqueKeysWithValues: failed.map { desired in
                (desired.id, results.first { $0.id == desired.id }?.message ?? "its old tunnel cannot be removed")
            })
    }

    /// Removes tunnel links that a former life of this daemon left.
    private func prune(keeping references: [Tunnel.Reference]) async throws {
        do {
            let results = try await tunnel.prune(keeping: references, namespaces: [namespaces.gateway.path])
            for result in results where result.code != .ok {
                logger.warning("tunnel is left behind", metadata: ["error": .string(result.error.message)])
            }
        } catch let error as ProviderError where error.code == .unsupported {
            logger.debug("the tunnel provider does not offer prune")
        }
    }

    /// Removes everything of ours from the node.
    private func clear() async throws -> Outcome {
        let found = try await namespaces.observe()
        try await namespaces.removeLoadBalancerAddresses(found.loadBalancerAddresses.sorted())
        let failures = try await removeTunnels(Array(tunnels.values))
        if namespaces.gateway.exists { try await prune(keeping: []) }
        try await namespaces.dismantle()
        if failures.isEmpty { applied = GatewayNetworkState() }
        return Outcome(failures: failures)
    }
}
