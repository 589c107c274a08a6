import FoundationEssentials
import JSONModel
import Kubernetes
import Reconcile

/// The API server of one simulated world: objects with versions, optimistic concurrency, finalizers, the status
/// subresource, a bounded history for watches, and the collection of objects whose owners are gone.
///
/// It is always right and never fails; what goes wrong on the way to it is the business of ``ProcessTransport``.
///
/// `@unchecked Sendable`: touched by the main thread alone (``JobQueue``).
final class SimulatedServer: @unchecked Sendable {
    /// What a request is answered with.
    struct Answer {
        var status = 200
        var body: JSONValue

        static func failure(_ status: Int, _ reason: String, _ message: String) -> Answer {
            Answer(
                status: status,
                body: [
                    "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": .string(reason),
                    "message": .string(message), "code": .integer(Int64(status)),
                ])
        }
    }

    /// One entry of the history.
    struct Change {
        var version: Int
        var plural: String
        var type: String
        var object: JSONValue
    }

    /// That an Event was posted, as far as scripts ask for it.
    struct ReportedEvent: Hashable {
        var type: String
        var reason: String
        var regarding: ObjectKey
    }

    private let clock: VirtualClock
    private(set) var version = 1000
    private var nextUID = 1
    private(set) var stored: [String: [ObjectKey: JSONValue]] = [:]
    private(set) var history: [Change] = []
    /// Watches and lists from before this version are refused with 410.
    private(set) var oldestVersion = 1000
    private var watches: [SimulatedWatch] = []
    private var continuations: [String: [JSONValue]] = [:]
    private var nextToken = 0
    /// What Events were posted about, each once; the objects themselves are not kept.
    private(set) var reportedEvents: Set<ReportedEvent> = []
    /// Called after an object is gone for good.
    var onRemoved: (_ plural: String, _ object: JSONValue) -> Void = { _, _ in }

    init(clock: VirtualClock) {
        self.clock = clock
    }

    func objects(_ plural: String) -> [JSONValue] {
        (stored[plural] ?? [:]).sorted { $0.key < $1.key }.map(\.value)
    }

    func object(_ plural: String, _ key: ObjectKey) -> JSONValue? { stored[plural]?[key] }

    /// Who leads, by the one Lease there is; nil without one, empty if it was released.
    var leaseHolder: String? { stored["leases"]?.values.first?["spec.holderIdentity"]?.text }

    /// Forgets the history: every watch from before now must list anew.
    func compact() {
        history = []
        oldestVersion = version
        continuations = [:]
    }

    // MARK: Storage

    var timeText: String {
        Timestamp(Date(timeIntervalSince1970: 1_700_000_000 + Double(clock.elapsed.components.seconds))).text
    }

    func insert(_ plural: String, _ new: JSONValue) -> JSONValue {
        var object = new
        version += 1
        // A UUID, as servers give.
        let number = String(nextUID)
        object["metadata.uid"] = .string(
            "00000000-0000-4000-8000-" + String(repeating: "0", count: max(12 - number.count, 0)) + number)
        nextUID += 1
        object["metadata.resourceVersion"] = .string(String(version))
        object["metadata.generation"] = 1
        object["metadata.creationTimestamp"] = .string(timeText)
        stored[plural, default: [:]][Self.key(object)] = object
        record("ADDED", plural, object)
        return object
    }

    /// Stores a change of an object; the last finalizer of an object that is being deleted takes it away.
    func replace(_ plural: String, _ old: JSONValue, by new: JSONValue) -> JSONValue {
        var object = new
        let isDeleting = object["metadata.deletionTimestamp"] != nil
        guard object != old else { return old }
        version += 1
        object["metadata.resourceVersion"] = .string(String(version))
        if object["spec"] != old["spec"] { object["metadata.generation"] = .integer(Self.generation(old) + 1) }
        if isDeleting, (object["metadata.finalizers"]?.elements ?? []).isEmpty {
            remove(plural, object)
        } else {
            stored[plural]?[Self.key(object)] = object
            record("MODIFIED", plural, object)
        }
        return object
    }

    private func remove(_ plural: String, _ object: JSONValue) {
        stored[plural]?[Self.key(object)] = nil
        record("DELETED", plural, object)
        onRemoved(plural, object)
    }

    func delete(_ plural: String, _ object: JSONValue) {
        if (object["metadata.finalizers"]?.elements ?? []).isEmpty {
            version += 1
            var last = object
            last["metadata.resourceVersion"] = .string(String(version))
            remove(plural, last)
        } else if object["metadata.deletionTimestamp"] == nil {
            var marked = object
            marked["metadata.deletionTimestamp"] = .string(timeText)
            marked["metadata.generation"] = .integer(Self.generation(object) + 1)
            _ = replace(plural, object, by: marked)
        }
    }

    private func record(_ type: String, _ plural: String, _ object: JSONValue) {
        let change = Change(version: version, plural: plural, type: type, object: object)
        history.append(change)
        watches.removeAll(where: \.isOver)
        for watch in watches { watch.offer(change) }
    }

    /// Those of all objects that there are.
    var uids: Set<String> {
        Set(stored.values.flatMap { $0.values.compactMap { $0["metadata.uid"]?.text } })
    }

    /// What the garbage collector of a cluster does: objects of which no owner is left go.
    func collectGarbage() {
        let uids = uids
        for plural in stored.keys.sorted() {
            for object in objects(plural) {
                let owners = object["metadata.ownerReferences"]?.elements ?? []
                guard !owners.isEmpty, owners.allSatisfy({ !uids.contains($0["uid"]?.text ?? "") }) else { continue }
                delete(plural, object)
            }
        }
    }

    // MARK: Reading

    /// Starts to follow changes.
    func watch(_ watch: SimulatedWatch, from version: Int) {
        guard version >= oldestVersion else { return watch.expire() }
        watches.append(watch)
        for change in history where change.version > version { watch.offer(change) }
    }

    /// One page of a list; the rest of the list stays as it was when it began.
    func page(_ objects: [JSONValue], limit: Int) -> JSONValue {
        var metadata: JSONValue = ["resourceVersion": .string(String(version))]
        if objects.count > limit {
            nextToken += 1
            let token = "\(version).\(nextToken)"
            continuations[token] = Array(objects.dropFirst(limit))
            metadata["continue"] = .string(token)
        }
        return ["metadata": metadata, "items": .array(Array(objects.prefix(limit)))]
    }

    func nextPage(_ token: String, limit: Int) -> Answer {
        guard let rest = continuations.removeValue(forKey: token) else {
            return .failure(410, "Expired", "the continue token is too old")
        }
        return Answer(body: page(rest, limit: limit))
    }

    func report(_ event: JSONValue) {
        reportedEvents.insert(
            ReportedEvent(
                type: event["type"]?.text ?? "", reason: event["reason"]?.text ?? "",
                regarding: ObjectKey(
                    namespace: event["regarding.namespace"]?.text ?? "", name: event["regarding.name"]?.text ?? "")))
    }

    static func key(_ object: JSONValue) -> ObjectKey {
        ObjectKey(
            namespace: object["metadata.namespace"]?.text ?? "", name: object["metadata.name"]?.text ?? "")
    }

    static func generation(_ object: JSONValue) -> Int64 { Int64(object["metadata.generation"]?.int ?? 1) }
}
