import Logging
import Synchronization

/// Answers requests from the store: the server without HTTP.
final class APIService: Sendable {
    let store: APIObjectStore
    let clock: APIClock
    private let currentRegistry: Mutex<APIResourceRegistry>

    init(store: APIObjectStore, clock: APIClock) throws {
        self.store = store
        self.clock = clock
        var registry = APIResourceRegistry()
        for object in store.list(APIResourceRegistry.definitions, namespace: nil).objects {
            if let descriptor = CustomResourceDefinition.parse(try object.decoded()).descriptor {
                registry.register(descriptor)
            }
        }
        currentRegistry = Mutex(registry)
    }

    var registry: APIResourceRegistry { currentRegistry.withLock { $0 } }

    /// Follows the CRDs. Called on the database's queue, so a kind is served before its CRD's write is acknowledged.
    func note(_ changes: [APIStoreChange]) {
        for change in changes where change.object.key.kind == APIResourceRegistry.definitions {
            guard let value = try? change.object.decoded(),
                let descriptor = CustomResourceDefinition.parse(value).descriptor
            else { continue }
            currentRegistry.withLock { registry in
                if change.kind == .deleted {
                    registry.unregister(descriptor.groupResource)
                } else {
                    registry.register(descriptor)
                }
            }
        }
    }

    func answer(_ request: APIRequest) async -> APIAnswer {
        do {
            let answer = try await route(request)
            if case .complete(let complete) = answer { return .complete(try complete.encoded(for: request.accept)) }
            return answer
        } catch let error as APIStatusError {
            return .complete(.value(error.value, status: error.code))
        } catch {
            return .complete(.value(APIStatusError.internalError("\(error)").value, status: 500))
        }
    }

    private func route(_ request: APIRequest) async throws -> APIAnswer {
        if case .resource(let target) = request.target { return try await route(request, to: target) }
        let registry = registry
        if request.target == .unknown || request.target == .root {
            let status = request.target == .root ? 200 : 404
            return .complete(.value(APIDiscovery.paths(registry), status: status))
        }
        guard ["GET", "HEAD"].contains(request.method) else { throw APIStatusError.methodNotAllowed(request.method) }
        switch request.target {
        case .version: return .complete(.value(APIDiscovery.version))
        case .health: return .complete(.text("ok"))
        case .coreVersions: return .complete(.value(APIDiscovery.coreVersions))
        case .groups: return .complete(.value(APIDiscovery.groupList(registry)))
        case .group(let name):
            guard let group = APIDiscovery.group(name, registry) else { throw APIStatusError.pathNotFound() }
            return .complete(.value(group))
        case .resources(let group, let version):
            guard let list = APIDiscovery.resources(group: group, version: version, registry) else {
                throw APIStatusError.pathNotFound()
            }
            return .complete(.value(list))
        case .openAPIIndex: return .complete(.value(APIOpenAPI.index(registry)))
        case .openAPI(let groupVersion):
            guard let document = APIOpenAPI.document(groupVersion: groupVersion, registry) else {
                throw APIStatusError.pathNotFound()
            }
            return .complete(.value(document))
        case .openAPIVersion2: return .complete(APIOpenAPI.version2)
        case .resource, .root, .unknown: throw APIStatusError.pathNotFound()
        }
    }

    private func route(_ request: APIRequest, to target: APIRequestTarget.Resource) async throws -> APIAnswer {
        guard
            let resource = registry.descriptor(
                group: target.group, version: target.version, plural: target.plural),
            resource.isNamespaced || target.namespace == nil
        else { throw APIStatusError.pathNotFound() }
        let call = APIResourceCall(service: self, request: request, resource: resource, target: target)
        if let subresource = target.subresource {
            guard resource.subresources.contains(subresource) else { throw APIStatusError.pathNotFound() }
        }
        if target.name != nil, resource.isNamespaced, target.namespace == nil { throw APIStatusError.pathNotFound() }
        switch (request.method, target.name) {
        case ("GET", nil) where request.query.flag("watch"): return .watch(try call.watch())
        case ("GET", nil): return .complete(try call.list())
        case ("GET", _?): return .complete(try call.get())
        case ("POST", nil): return .complete(try await call.create())
        case ("POST", _?) where target.subresource == "binding": return .complete(try await call.bind())
        case ("PUT", _?): return .complete(try await call.update())
        case ("PATCH", _?): return .complete(try await call.patch())
        case ("DELETE", nil): return .complete(try await call.deleteCollection())
        case ("DELETE", _?) where target.subresource == nil: return .complete(try await call.delete())
        default: throw APIStatusError.methodNotAllowed(request.method)
        }
    }
}
