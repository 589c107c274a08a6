import JSONModel
import Kubernetes
import ProviderKit
import Reconcile

/// The few ways in which the manager's controllers read and write objects.
///
/// Every write is a merge patch under the resourceVersion it was decided on, so fields of newer versions and of other
/// writers survive, and what was decided on an old state is not stored.
struct GatewayObjects: Sendable {
    let client: KubernetesClient

    /// The object, or nil if there is none.
    func find<Resource: KubernetesResource>(
        _ type: Resource.Type, namespace: String, name: String
    ) async throws -> Resource? {
        do {
            return try await client.get(type, namespace: namespace, name: name)
        } catch let error as KubernetesError where error.code == .notFound {
            return nil
        }
    }

    /// Adds the finalizer if it is missing; it must be there before the first effect outside of the API server.
    func addFinalizer<Resource: KubernetesResource>(_ finalizer: String, to object: Resource) async throws -> Resource {
        guard let patch = Finalizers.adding(finalizer, to: object.metadata) else { return object }
        return try await client.mergePatch(
            Resource.self, namespace: object.metadata.namespace, name: object.metadata.name, patch: patch)
    }

    /// Removes the finalizer; the object may be gone afterwards, or already be.
    func removeFinalizer<Resource: KubernetesResource>(_ finalizer: String, from object: Resource) async throws {
        guard let patch = Finalizers.removing(finalizer, from: object.metadata) else { return }
        do {
            try await client.mergePatch(
                Resource.self, namespace: object.metadata.namespace, name: object.metadata.name, patch: patch)
        } catch let error as KubernetesError where error.code == .notFound {
            return
        }
    }

    /// Writes a status if it differs from the one that was read, and nobody has changed the object since.
    ///
    /// - Returns: whether something was written.
    @discardableResult
    func setStatus<Resource: KubernetesResource, Status: Encodable>(
        _ new: Status, replacing old: Status?, on object: Resource
    ) async throws -> Bool {
        let before = try old.map { try JSONValue(encoding: $0) } ?? .object([:])
        guard let change = MergePatch.difference(from: before, to: try JSONValue(encoding: new)) else { return false }
        let patch: JSONValue = ["status": change]
        _ = try await client.mergePatch(
            Resource.self, namespace: object.metadata.namespace, name: object.metadata.name, patch: patch,
            resourceVersion: object.metadata.resourceVersion, subresource: .status)
        return true
    }

    /// Makes the object exist with this spec and this controlling owner.
    ///
    /// - Parameter make: the object to create if there is none.
    func ensure<Resource: KubernetesResource, Spec: Encodable>(
        _ make: Resource, spec: any KeyPath<Resource, Spec> & Sendable
    ) async throws -> Resource {
        let metadata = make.metadata
        guard let found = try await find(Resource.self, namespace: metadata.namespace, name: metadata.name) else {
            return try await client.create(make)
        }
        guard found.metadata.deletionTimestamp == nil else { return found }
        var patch: [String: JSONValue] = [:]
        if let change = MergePatch.difference(
            from: try JSONValue(encoding: found[keyPath: spec]), to: try JSONValue(encoding: make[keyPath: spec]))
        {
            patch["spec"] = change
        }
        let isOwned = metadata.ownerReferences.allSatisfy { wanted in
            found.metadata.ownerReferences.contains { $0.uid == wanted.uid && $0.controller == wanted.controller }
        }
        if !isOwned {
            let others = found.metadata.ownerReferences.filter { $0.controller != true }
            patch["metadata"] = ["ownerReferences": try JSONValue(encoding: others + metadata.ownerReferences)]
        }
        guard !patch.isEmpty else { return found }
        return try await client.mergePatch(
            Resource.self, namespace: metadata.namespace, name: metadata.name, patch: JSONValue.object(patch),
            resourceVersion: found.metadata.resourceVersion)
    }

    /// Asks for the deletion of the object of the owner's name, if it is the owner's: one that was made for a later object
    /// of that name stays.
    ///
    /// - Returns: false if there is no such object (any more).
    func deleteChild<Resource: KubernetesResource>(
        _ type: Resource.Type, of owner: some KubernetesResource
    ) async throws -> Bool {
        let (namespace, name) = (owner.metadata.namespace, owner.metadata.name)
        guard let child = try await find(type, namespace: namespace, name: name),
            child.metadata.ownerReferences.contains(where: { $0.uid == owner.metadata.uid })
        else { return false }
        guard child.metadata.deletionTimestamp == nil else { return true }
        do {
            try await client.delete(type, namespace: namespace, name: name, uid: child.metadata.uid)
            return true
        } catch let error as KubernetesError where error.code == .notFound {
            return false
        }
    }

    /// Asks for the object's deletion.
    ///
    /// - Returns: false if there is no such object (any more).
    func delete<Resource: KubernetesResource>(
        _ type: Resource.Type, namespace: String, name: String
    ) async throws -> Bool {
        do {
            try await client.delete(type, namespace: namespace, name: name)
            return true
        } catch let error as KubernetesError where error.code == .notFound {
            return false
        }
    }
}

extension Outcome {
    /// What to do about an error of a reconcile run.
    ///
    /// - Parameter later: when to try what only a change of the object or the cloud can mend.
    init(_ error: any Error, later: Duration) {
        switch error {
        case let error as KubernetesError where error.code == .conflict:
            self = .conflict
        case let error as KubernetesError where error.code == .tooManyRequests:
            self = .throttled(after: error.retryAfter ?? .seconds(1))
        case let error as ProviderError:
            switch error.code {
            case .conflict: self = .conflict
            case .throttled: self = .throttled(after: .milliseconds(error.retryAfterMilliseconds ?? 1000))
            case .invalid, .terminal, .unsupported: self = .requeue(after: later)
            case .ok, .retry, .cancelled: self = .retry(error)
            }
        default:
            self = .retry(error)
        }
    }
}
