import AzureARM
import JSONModel
import ProviderKit

/// A pool as it was read, by calls that change nothing.
struct PoolSurvey: Sendable {
    let members: PoolMembers
    /// In the order of instances or network interfaces.
    let nodes: [PoolNode]
    /// The instances' own models by how people find them, if they were read.
    var instanceModels: [(resource: String, configurations: [JSONValue])] = []

    var pool: GatewayPool { members.pool }

    /// The ipConfigurations of a scale set's model, for the instances to come; empty for machines.
    var model: [JSONValue] {
        guard case .scaleSet = pool else { return [] }
        return members.interfaceConfigurations.first ?? []
    }

    /// UIDs of every configuration that has something here.
    var managedUIDs: Set<String> {
        Set(nodes.flatMap(\.managedUIDs))
            .union(model.compactMap { $0["name"]?.text }.compactMap(Names.uid))
    }

    /// The nodes as one configuration sees them.
    func nodes(for uid: String) -> [NodePool.Node] { nodes.compactMap { $0.node(for: uid) } }
}

extension AzureNodePool {
    /// Reads a pool with its nodes: two calls for a scale set, none more for machines.
    func survey(_ members: PoolMembers, _ context: CallContext) async throws -> PoolSurvey {
        switch members.pool {
        case .scaleSet(let set): return PoolSurvey(members: members, nodes: try await reader.nodes(set, context))
        case .machines: return PoolSurvey(members: members, nodes: members.interfaces.map(MachineWriter.node))
        }
    }

    /// The same with as few calls as can tell drift: one for a scale set while its instances are known by name
    /// (``PoolMemory``); every few minutes two, and then their own models are there, too.
    func lightSurvey(_ members: PoolMembers, _ context: CallContext) async throws -> PoolSurvey {
        guard case .scaleSet(let set) = members.pool else { return try await survey(members, context) }
        let interfaces = try await reader.interfaces(set, context)
        let now = context.host.now
        if let names = await memory.names(of: set.id, instances: Set(interfaces.keys), at: now) {
            let nodes = interfaces.sorted { ($0.key.utf8.count, $0.key) < ($1.key.utf8.count, $1.key) }
                .map { ScaleSetReader.node(names[$0.key] ?? "", $0.key, $0.value, of: set) }
            return PoolSurvey(members: members, nodes: nodes)
        }
        let instances = try await reader.instances(set, context)
        let nodes = reader.nodes(instances, interfaces, of: set)
        await memory.remember(names: nodes.mapValues(\.name), of: set.id, at: now)
        let ids = instances.compactMap { $0["instanceId"]?.text }
        let models = instances.compactMap { instance -> (String, [JSONValue])? in
            guard let node = nodes[instance["instanceId"]?.text ?? ""],
                let interfaces = instance[ScaleSetReader.instancePath]?.elements,
                let primary = InterfaceEditor.primary(interfaces)
            else { return nil }
            return ("\(node.resource) (model)", interfaces[primary][InterfaceEditor.children]?.elements ?? [])
        }
        return PoolSurvey(members: members, nodes: ids.compactMap { nodes[$0] }, instanceModels: models)
    }

    /// Every pool that can carry something of ours: scale sets of our resource group that are node pools or have an
    /// ipConfiguration of ours, those that `selectors` name besides, and gateway network interfaces.
    func allPools(
        besides selectors: Set<PoolSelector>, _ context: CallContext
    ) async throws -> (pools: [PoolMembers], interfaces: [JSONValue]) {
        var sets: [ResourceID: ScaleSetPool] = [:]
        for pool in try await directory.allScaleSets(deadline: context.deadline) {
            // Reading the instances of scale sets that never carried a gateway would cost two calls for each of them.
            let isUsed = pool.modelConfigurations.contains { Names.isManaged($0["name"]?.text ?? "") }
            if isUsed || pool.isNodePool { sets[pool.id] = pool }
        }
        let explicit = selectors.filter { $0.scaleSet != nil }
        for case .found(.scaleSet(let pool)) in try await directory.find(explicit, deadline: context.deadline).values {
            sets[pool.id] = pool
        }
        let interfaces = try await machines.allInterfaces(context)
        let gateways = interfaces.filter { Tags.value(Tags.gatewayInterface, of: $0) != nil }
        let names = Set(selectors.compactMap(\.nodepoolName))
        let byPool = Dictionary(grouping: gateways) { Tags.value(Tags.pool, of: $0)?.lowercased() ?? "" }
        var pools = sets.values.sorted { $0.id.name < $1.id.name }
            .map { PoolMembers(.scaleSet($0), interfaces: []) }
        for (key, members) in byPool.sorted(by: { $0.key < $1.key }) where !key.isEmpty {
            // The case of the name that configurations use counts for the pool's unique id.
            let tagged = members.first.flatMap { Tags.value(Tags.pool, of: $0) } ?? key
            let name = names.first { $0.lowercased() == key } ?? tagged
            pools.append(PoolMembers(.machines(MachinePool(name: name)), interfaces: members))
        }
        return (pools, interfaces)
    }
}
