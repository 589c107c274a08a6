import Logging
import Synchronization

/// Runs the clean-up tasks in the background: garbage collection by ownerReferences, namespaces, CRDs.
///
/// Tasks are idempotent looks at the store, so a lost one is found again at the next start; the pending set keeps
/// them unique and thereby bounded by the number of objects.
final class APICollector: Sendable {
    private let store: APIObjectStore
    private let registry: @Sendable () -> APIResourceRegistry
    private let clock: APIClock
    private let logger: Logger
    private let pending = Mutex<Set<APICollectorTask>>([])
    private let wakeups: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation

    init(
        store: APIObjectStore, registry: @escaping @Sendable () -> APIResourceRegistry, clock: APIClock, logger: Logger
    ) {
        self.store = store
        self.registry = registry
        self.clock = clock
        self.logger = logger
        (wakeups, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes note of committed changes. Called on the database's queue.
    func note(_ changes: [APIStoreChange]) {
        let state = store.state
        add(changes.flatMap { APICollectorTask.following($0, in: state) })
    }

    private func add(_ tasks: [APICollectorTask]) {
        if tasks.isEmpty { return }
        pending.withLock { $0.formUnion(tasks) }
        waker.yield()
    }

    /// Works until the task is cancelled.
    func run() async {
        let state = store.state
        for table in state.tables.values {
            add(table.objects.values.flatMap { APICollectorTask.standing($0, in: state) })
        }
        for await _ in wakeups {
            while let task = pending.withLock({ $0.popFirst() }) {
                if Task.isCancelled { return }
                await perform(task)
            }
        }
    }

    private func perform(_ task: APICollectorTask) async {
        do {
            switch task {
            case .dependent(let key): try await collectDependent(key)
            case .foregroundOwner(let key): try await releaseOwner(key)
            case .namespace(let name): try await emptyNamespace(name)
            case .definition(let name): try await emptyDefinition(name)
            }
        } catch is CancellationError {
            return
        } catch {
            logger.error("clean-up failed", metadata: ["task": "\(task)", "error": "\(error)"])
        }
    }

    private func remover(_ resource: ResourceDescriptor) -> APIObjectRemover {
        APIObjectRemover(
            resource: resource, options: .init(), time: clock.text(), timeAfter: clock.textAfter, registry: registry())
    }

    private func collectDependent(_ key: APIObjectKey) async throws {
        let registry = registry()
        guard let resource = registry[key.kind] else { return }
        let remover = remover(resource)
        try await store.transact { transaction in
            guard let object = transaction.object(key), !object.owners.isEmpty else { return }
            let dead = object.owners.filter { owner in
                guard let ownerKey = transaction.key(ofUID: owner.uid) else { return true }
                return !ownerKey.namespace.isEmpty && ownerKey.namespace != key.namespace
            }
            if dead.count == object.owners.count {
                if !object.isTerminating { _ = try remover.remove(key, in: &transaction) }
            } else if !dead.isEmpty {
                try APIObjectRemover.dropOwners(
                    Set(dead.map(\.uid)), from: object, registry: registry, in: &transaction)
            }
        }
    }

    /// Foreground deletion: removes the dependents; without any left, the owner's finalizer goes.
    private func releaseOwner(_ key: APIObjectKey) async throws {
        let registry = registry()
        guard let resource = registry[key.kind] else { return }
        let time = clock.text()
        let removers = Dictionary(uniqueKeysWithValues: registry.all.map { ($0.groupResource, remover($0)) })
        try await store.transact { transaction in
            guard let owner = transaction.object(key), owner.isTerminating,
                owner.finalizers.contains(APIObjectRemover.foregroundFinalizer)
            else { return }
            let dependents = transaction.dependents(of: owner.uid)
            for dependent in dependents where !dependent.isTerminating {
                _ = try removers[dependent.key.kind]?.remove(dependent.key, in: &transaction)
            }
            let blockers = transaction.dependents(of: owner.uid).filter { dependent in
                dependent.owners.contains { $0.uid == owner.uid && $0.blocksDeletion }
            }
            guard blockers.isEmpty else { return }
            let writer = APIObjectWriter(
                resource: resource, namespace: key.namespace, time: time, fieldValidation: .ignore)
            _ = try writer.patch(key.name, subresource: nil, in: &transaction) { object in
                var object = object
                let left = owner.finalizers.filter { $0 != APIObjectRemover.foregroundFinalizer }
                object[path: "metadata", "finalizers"] = APIValue(left)
                return object
            }
        }
    }

    private func emptyNamespace(_ name: String) async throws {
        let registry = registry()
        let removers = Dictionary(
            uniqueKeysWithValues: registry.all.filter(\.isNamespaced).map { ($0.groupResource, remover($0)) })
        let time = clock.text()
        try await store.transact { transaction in
            let key = APIObjectKey(kind: APIResourceRegistry.namespaces, namespace: "", name: name)
            guard let namespace = transaction.object(key), namespace.isTerminating else { return }
            var isEmpty = true
            for (kind, remover) in removers {
                for object in transaction.objects(of: kind, namespace: name) {
                    if !object.isTerminating, case .removed = try remover.remove(object.key, in: &transaction) {
                        continue
                    }
                    isEmpty = false
                }
            }
            guard isEmpty, let resource = registry[key.kind] else { return }
            let writer = APIObjectWriter(resource: resource, namespace: "", time: time, fieldValidation: .ignore)
            _ = try writer.patch(name, subresource: "finalize", in: &transaction) { object in
                var object = object
                object[path: "spec", "finalizers"] = []
                return object
            }
        }
    }

    private func emptyDefinition(_ name: String) async throws {
        let registry = registry()
        guard let resource = registry[APIResourceRegistry.definitions] else { return }
        let time = clock.text()
        let removers = Dictionary(uniqueKeysWithValues: registry.all.map { ($0.groupResource, remover($0)) })
        try await store.transact { transaction in
            let key = APIObjectKey(kind: APIResourceRegistry.definitions, namespace: "", name: name)
            guard let definition = transaction.object(key), definition.isTerminating else { return }
            let spec = try definition.decoded()["spec"] ?? [:]
            let kind = GroupResource(
                group: spec["group"]?.stringValue ?? "",
                resource: spec[path: "names", "plural"]?.stringValue ?? "")
            var isEmpty = true
            for object in transaction.objects(of: kind) {
                if !object.isTerminating, case .removed = try removers[kind]?.remove(object.key, in: &transaction) {
                    continue
                }
                isEmpty = false
            }
            guard isEmpty else { return }
            let writer = APIObjectWriter(resource: resource, namespace: "", time: time, fieldValidation: .ignore)
            _ = try writer.patch(name, subresource: nil, in: &transaction) { object in
                var object = object
                let left = definition.finalizers.filter { $0 != DefinitionBehaviour.cleanupFinalizer }
                object[path: "metadata", "finalizers"] = APIValue(left)
                return object
            }
        }
    }
}
