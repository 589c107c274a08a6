/// What has to be cleaned up behind a change. Pure: changes and state in, tasks out.
enum APICollectorTask: Hashable, Sendable {
    /// An object that names owners: goes when none of them lives, else loses the references to the dead ones.
    case dependent(APIObjectKey)
    /// An owner that waits for its dependents to go first.
    case foregroundOwner(APIObjectKey)
    /// A namespace to be emptied.
    case namespace(String)
    /// A CRD whose objects are to be removed.
    case definition(String)

    /// The tasks that follow from one change.
    static func following(_ change: APIStoreChange, in state: APIStoreState) -> [Self] {
        let object = change.object
        var tasks: [Self] = []
        if change.kind == .deleted {
            tasks += (state.dependents[object.uid] ?? []).map(Self.dependent)
            tasks += object.owners.compactMap { owner in
                guard let key = state.keysByUID[owner.uid], state.object(key)?.isTerminating == true else { return nil }
                return .foregroundOwner(key)
            }
            tasks += tasksOfTerminatingHolders(of: object.key, in: state)
        } else {
            tasks += standing(object, in: state)
        }
        return tasks
    }

    /// The tasks an object stands for by itself; asked for all objects when the server starts.
    static func standing(_ object: APIStoredObject, in state: APIStoreState) -> [Self] {
        var tasks: [Self] = []
        if object.owners.contains(where: { !isAlive($0, for: object.key, in: state) }) {
            tasks.append(.dependent(object.key))
        }
        guard object.isTerminating else { return tasks }
        if object.finalizers.contains(APIObjectRemover.foregroundFinalizer) {
            tasks.append(.foregroundOwner(object.key))
        }
        if object.key.kind == APIResourceRegistry.namespaces { tasks.append(.namespace(object.key.name)) }
        if object.key.kind == APIResourceRegistry.definitions { tasks.append(.definition(object.key.name)) }
        return tasks
    }

    /// An owner in another namespace counts as absent, as in the real collector.
    static func isAlive(_ owner: APIStoredObject.Owner, for dependent: APIObjectKey, in state: APIStoreState) -> Bool {
        guard let key = state.keysByUID[owner.uid] else { return false }
        return key.namespace.isEmpty || key.namespace == dependent.namespace
    }

    private static func tasksOfTerminatingHolders(of key: APIObjectKey, in state: APIStoreState) -> [Self] {
        var tasks: [Self] = []
        let namespace = APIObjectKey(kind: APIResourceRegistry.namespaces, namespace: "", name: key.namespace)
        if !key.namespace.isEmpty, state.object(namespace)?.isTerminating == true {
            tasks.append(.namespace(key.namespace))
        }
        let definitionName = "\(key.kind.resource).\(key.kind.group)"
        let definition = APIObjectKey(kind: APIResourceRegistry.definitions, namespace: "", name: definitionName)
        if state.object(definition)?.isTerminating == true { tasks.append(.definition(definitionName)) }
        return tasks
    }
}
