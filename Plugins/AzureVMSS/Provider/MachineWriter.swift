import AzureARM
import JSONModel
import ProviderKit

/// Brings the network interfaces of a pool of standalone machines to the wanted addresses: one PUT per network interface,
/// whatever the number of configurations (upstream behaviour section 3.5).
///
/// The order is that of the Go system: public addresses, then the network interface; and back: the network interface,
/// then its public addresses, then (``PrefixKeeper``) the prefix.
struct MachineWriter: Sendable {
    let client: ARMClient
    let addresses: AddressKeeper

    /// Network interfaces written at the same time.
    private static let parallelism = 4

    /// The gateway network interfaces of a pool, with or without a machine: one call.
    func interfaces(of pool: MachinePool, _ context: CallContext) async throws -> [JSONValue] {
        try await allInterfaces(context).filter { Tags.isGatewayInterface($0, of: pool.name) }
    }

    /// Every network interface of our resource group.
    func allInterfaces(_ context: CallContext) async throws -> [JSONValue] {
        let id = client.configuration.id("Microsoft.Network", ["networkInterfaces"])
        return try await client.list(id, version: APIVersion.network, deadline: context.deadline)
    }

    static func node(_ interface: JSONValue) -> PoolNode {
        let name = interface["name"]?.text ?? ""
        return PoolNode(
            name: name, resource: "networkInterfaces/\(name)",
            configurations: interface[InterfaceEditor.children]?.elements ?? [])
    }

    /// - Parameters:
    ///   - unwanted: names of ipConfigurations that must not be there.
    ///   - listed: the pool's network interfaces as they were a moment ago.
    func apply(
        _ items: [ReadyItem], unwanted: Set<String>, to pool: MachinePool, listed: [JSONValue], _ context: CallContext
    ) async throws -> PoolOutcome {
        let editor = InterfaceEditor(
            backendPool: client.configuration.loadBalancerID.child("backendAddressPools", pool.uniqueID))
        let known = items.contains { $0.prefix != nil } ? try await addresses.list(context) : [:]
        let results = await concurrently(listed, limit: Self.parallelism) { interface in
            await write(interface, items, unwanted, known, editor, context)
        }
        var outcome = PoolOutcome()
        for result in results {
            switch result {
            case .success(let written):
                outcome.nodes.append(written.node)
                outcome.refusals.merge(written.refusals) { first, _ in first }
            case .failure(let failure): outcome.failures.append(failure)
            }
        }
        return outcome
    }

    private struct Written: Sendable {
        var node: PoolNode
        var refusals: [String: ProviderError] = [:]
    }

    private func write(
        _ listed: JSONValue, _ items: [ReadyItem], _ unwanted: Set<String>, _ known: AddressKeeper.Listing,
        _ editor: InterfaceEditor, _ context: CallContext
    ) async -> Result<Written, NodeFailure> {
        let name = listed["name"]?.text ?? ""
        do {
            var plan = MachinePlan(items, networkInterface: listed, unwanted: unwanted, addresses: addresses)
            let made = await separately(plan.addresses, limit: Self.parallelism) { address in
                try await addresses.ensure(address.resource, of: address.prefix, listed: known, context)
            }
            for (item, error) in made.compactMap({ id, result in result.failure.map { (id, $0) } }) {
                plan.refuse(addressID: item, error)
            }
            let released = Released()
            let body = try await put(name, listed, plan, unwanted, editor, released, context)
            for address in await released.names where AddressKeeper.isOurs(address, networkInterface: name) {
                try await addresses.remove(address, context)
            }
            return .success(Written(node: Self.node(body), refusals: plan.refusals))
        } catch {
            return .failure(NodeFailure(error: ProviderError(error), unaffected: satisfied(listed, items, editor)))
        }
    }

    /// - Returns: the network interface as it is afterwards.
    private func put(
        _ name: String, _ listed: JSONValue, _ plan: MachinePlan, _ unwanted: Set<String>, _ editor: InterfaceEditor,
        _ released: Released, _ context: CallContext
    ) async throws -> JSONValue {
        let id = client.configuration.id("Microsoft.Network", ["networkInterfaces", name])
        let first = FirstValue(ARMResource(body: listed))
        return try await retryingConflicts(host: context.host, deadline: context.deadline) {
            let current: ARMResource
            if let read = await first.take() {
                current = read
            } else {
                guard let read = try await client.get(id, version: APIVersion.network, deadline: context.deadline)
                else { throw ProviderError(.retry, "network interface \(name) is gone") }
                current = read
            }
            let body = try editor.edit(interface: current.body, wanted: plan.wanted, unwanted: unwanted)
            let hasFailed = current.hasFailed
            let lacksAddress = !Self.node(current.body).hasAddresses(plan.wanted.map(\.name)) && !plan.wanted.isEmpty
            await released.set(Self.released(from: current.body, to: body))
            guard body != current.body || hasFailed || lacksAddress else { return current.body }
            context.host.log(
                .info, "writing network interface",
                ["interface": name, "changed": "\(body != current.body)", "failed": "\(hasFailed)"])
            return try await client.put(
                id, body, version: APIVersion.network, replacing: current, deadline: context.deadline
            ).body
        }
    }

    /// The public addresses that ipConfigurations of ours had, and that nobody has afterwards.
    private static func released(from old: JSONValue, to new: JSONValue) -> [String] {
        func used(_ body: JSONValue, onlyOurs: Bool) -> Set<String> {
            let children = body[InterfaceEditor.children]?.elements ?? []
            return Set(
                children.filter { !onlyOurs || Names.isManaged($0["name"]?.text ?? "") }
                    .compactMap {
                        $0["properties.publicIPAddress.id"]?.text.flatMap(ResourceID.init)?.name.lowercased()
                    })
        }
        return used(old, onlyOurs: true).subtracting(used(new, onlyOurs: false)).sorted()
    }

    /// The wanted ipConfigurations that a network interface has as they shall be, with their addresses.
    private func satisfied(_ interface: JSONValue, _ items: [ReadyItem], _ editor: InterfaceEditor) -> Set<String> {
        let plan = MachinePlan(items, networkInterface: interface, unwanted: [], addresses: addresses)
        let node = Self.node(interface)
        let present = plan.wanted.filter { address in
            node.hasAddresses([address.name])
                && (try? editor.edit(interface: interface, wanted: [address], unwanted: [])) == interface
        }
        return Set(present.map(\.name))
    }

    /// What the last look at a network interface says about addresses that it gives up.
    private actor Released {
        private(set) var names: [String] = []

        func set(_ names: [String]) { self.names = names }
    }
}

/// What one network interface gets of a batch: decided without IO.
struct MachinePlan: Sendable {
    /// A public address that an ipConfiguration needs.
    struct Address: Sendable, Identified {
        /// Name of the ipConfiguration.
        var id: String
        var resource: ResourceID
        var prefix: EgressPrefix
    }

    private(set) var wanted: [WantedAddress] = []
    private(set) var addresses: [Address] = []
    /// Items that this network interface cannot take.
    private(set) var refusals: [String: ProviderError] = [:]
    private var owners: [String: String] = [:]

    init(_ items: [ReadyItem], networkInterface: JSONValue, unwanted: Set<String>, addresses keeper: AddressKeeper) {
        let name = networkInterface["name"]?.text ?? ""
        let children = (networkInterface[InterfaceEditor.children]?.elements ?? [])
            .filter { !unwanted.contains($0["name"]?.text ?? "") }
        var users: [ResourceID: String] = [:]
        for child in children {
            guard let id = child["properties.publicIPAddress.id"]?.text.flatMap(ResourceID.init) else { continue }
            users[id] = child["name"]?.text?.lowercased()
        }
        for item in items {
            var parts: [(WantedAddress, Address?)] = []
            for part in item.parts {
                owners[part.name] = item.id
                guard let prefix = part.prefix else {
                    parts.append((WantedAddress(name: part.name, family: part.family), nil))
                    continue
                }
                let id = keeper.id(prefixName: prefix.id.name, networkInterface: name)
                if let user = users[id], user != part.name.lowercased() {
                    refusals[item.id] = Self.shared(prefix, id, user)
                }
                users[id] = part.name.lowercased()
                parts.append(
                    (
                        WantedAddress(name: part.name, family: part.family, publicAddress: .resource(id)),
                        Address(id: part.name, resource: id, prefix: prefix)
                    ))
            }
            guard refusals[item.id] == nil else { continue }
            wanted += parts.map(\.0)
            addresses += parts.compactMap(\.1)
        }
    }

    /// An address has one name per network interface and prefix, as in the Go system, so a prefix serves one
    /// configuration of such a pool (upstream behaviour Q-43).
    private static func shared(_ prefix: EgressPrefix, _ address: ResourceID, _ user: String) -> ProviderError {
        ProviderError(
            .terminal,
            "prefixID: public IP prefix \(prefix.id.name) serves ipConfiguration \(user) of this pool already, with "
                + "address \(address.name); in a pool of standalone machines each configuration needs its own prefix",
            reason: .prefixExhausted)
    }

    /// Takes out the item that an address could not be made for.
    ///
    /// - Parameter addressID: name of the ipConfiguration.
    mutating func refuse(addressID: String, _ error: ProviderError) {
        guard let item = owners[addressID] else { return }
        refusals[item] = error
        wanted.removeAll { owners[$0.name] == item }
    }
}

extension Result {
    /// The error, if it is one.
    var failure: Failure? {
        if case .failure(let error) = self { return error }
        return nil
    }
}
