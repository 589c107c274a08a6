import CoreMetrics
import FoundationEssentials
import Kubernetes
import Logging

/// Keeps an ``ObjectStore`` equal to the API server's objects of one kind: list, then watch, over and over
/// (``ListWatchMachine``).
///
/// An object is kept with the fields that its type has, and without kubectl's record of what was applied last, which is as
/// large as the object and of no use to anybody but kubectl.
public struct Reflector<Resource: KubernetesResource>: Sendable {
    /// What is known; the reflector is its only writer.
    public let store: ObjectStore<Resource>
    private let client: KubernetesClient
    private let scope: ListScope
    private let logger: Logger
    private let environment: ReconcileEnvironment
    private let reduce: (@Sendable (inout Resource) -> Void)?
    private let onChange: @Sendable (StoreChange) -> Void
    /// When the server was last heard of, in seconds since 1970: an answer, an event or a bookmark. Its age is what is
    /// worth an alert; a server sends a bookmark every minute.
    private let lastHeard: Gauge
    private let undecodable: Counter

    /// - Parameters:
    ///   - scope: only these objects are read and kept.
    ///   - indexes: see ``ObjectStore/init(indexes:)``.
    ///   - environment: clock and randomness of the waits between failures; where the age of the last event and the count
    ///     of unreadable objects go.
    ///   - reduce: takes from each object what nobody reads, before it is kept; name and namespace must stay. What it takes
    ///     away is no change, either.
    ///   - onChange: called after the store knows of the change, for new, changed and deleted objects; it must not
    ///     block.
    public init(
        _ type: Resource.Type, client: KubernetesClient, scope: ListScope = ListScope(),
        indexes: [String: ObjectStore<Resource>.IndexFunction] = [:], logger: Logger,
        environment: ReconcileEnvironment = ReconcileEnvironment(),
        reduce: (@Sendable (inout Resource) -> Void)? = nil,
        onChange: @escaping @Sendable (StoreChange) -> Void
    ) {
        store = ObjectStore(indexes: indexes)
        self.client = client
        self.scope = scope
        var logger = logger
        logger[metadataKey: "kind"] = .string(Resource.resourceType.kind)
        self.logger = logger
        self.environment = environment
        self.reduce = reduce
        self.onChange = onChange
        lastHeard = Gauge(
            label: "egress_watch_last_event_timestamp_seconds",
            dimensions: [("kind", Resource.resourceType.kind), ("selector", scope.labelSelector ?? "")],
            factory: environment.metrics)
        undecodable = Counter(
            label: "egress_undecodable_objects_total", dimensions: [("kind", Resource.resourceType.kind)],
            factory: environment.metrics)
    }

    /// Follows the objects until the task is cancelled; every fault is waited out.
    public func run() async throws {
        var machine = ListWatchMachine(streamsLists: await client.streamsLists())
        var random = environment.random
        var pages = ObjectStore<Resource>.Contents()
        while true {
            try Task.checkCancellation()
            switch machine.next(using: &random) {
            case .wait(let duration):
                try await environment.clock.sleep(for: duration)
                machine.handle(.waited, using: &random)
            case .stream(let seconds):
                machine.handle(await stream(seconds), using: &random)
            case .list(let token):
                if token == nil { pages = ObjectStore<Resource>.Contents() }
                machine.handle(await list(token, into: &pages), using: &random)
            case .watch(let version, let seconds):
                await watch(version, seconds, &machine, &random)
            }
        }
    }

    /// Reads one page; the last one makes the store equal to the list at once.
    private func list(_ token: String?, into pages: inout ObjectStore<Resource>.Contents) async
        -> ListWatchMachine.Input
    {
        let elapsed = environment.stopwatch()
        do {
            let page = try await client.listPage(
                Resource.self, scope: scope, limit: ListWatchMachine.pageLimit, continueToken: token)
            heard()
            report(page.list.undecodable)
            for object in page.list.items { pages.add(kept(object)) }
            for object in page.list.undecodable.compactMap(lastReadable) { pages.add(object) }
            if page.continueToken == nil {
                for change in store.replaceAll(pages) { onChange(change) }
                pages = ObjectStore<Resource>.Contents()
            }
            return .page(resourceVersion: page.list.resourceVersion, continueToken: page.continueToken)
        } catch {
            return failed("list", error, after: elapsed())
        }
    }

    /// Reads all objects as events; the store becomes equal to them at once, when the last one is there.
    private func stream(_ seconds: Int) async -> ListWatchMachine.Input {
        let elapsed = environment.stopwatch()
        var objects = ObjectStore<Resource>.Contents()
        do {
            for try await event in try await client.streamList(
                Resource.self, scope: scope, timeoutSeconds: seconds)
            {
                heard()
                switch event {
                case .added(let object): objects.add(kept(object))
                case .undecodable(let object, _, _):
                    report([object])
                    if let known = lastReadable(object) { objects.add(known) }
                case .initialEventsEnd(let version):
                    for change in store.replaceAll(objects) { onChange(change) }
                    return .streamed(resourceVersion: version)
                case .bookmark: break
                case .modified, .deleted:
                    // No streaming list has these before its end.
                    return .streamRefused
                }
            }
            return .streamRefused
        } catch let error as KubernetesError where [.badRequest, .invalid, .forbidden].contains(error.code) {
            return .streamRefused
        } catch {
            return failed("stream", error, after: elapsed())
        }
    }

    private func watch(
        _ version: String, _ seconds: Int, _ machine: inout ListWatchMachine,
        _ random: inout RandomSource
    ) async {
        let elapsed = environment.stopwatch()
        do {
            for try await event in try await client.watch(
                Resource.self, namespace: scope.namespace, labelSelector: scope.labelSelector,
                fieldSelector: scope.fieldSelector, resourceVersion: version, timeoutSeconds: seconds)
            {
                heard()
                apply(event)
                machine.handle(.event(resourceVersion: event.resourceVersion), using: &random)
            }
            machine.handle(.watchEnded(after: elapsed()), using: &random)
        } catch {
            machine.handle(failed("watch", error, after: elapsed()), using: &random)
        }
    }

    private func heard() { lastHeard.record(environment.now().timeIntervalSince1970) }

    private func apply(_ event: WatchEvent<Resource>) {
        switch event {
        case .added(let object), .modified(let object):
            let isNew = store.set(kept(object)) == nil
            onChange(StoreChange(key: ObjectKey(object), kind: isNew ? .added : .modified, priority: .live))
        case .deleted(let object):
            forget(ObjectKey(object))
        case .bookmark, .initialEventsEnd: break
        case .undecodable(let object, _, let isDeleted):
            report([object])
            guard isDeleted else { return }
            forget(ObjectKey(namespace: object.namespace, name: object.name))
        }
    }

    private static var lastApplied: String { "kubectl.kubernetes.io/last-applied-configuration" }

    private func kept(_ object: Resource) -> Resource {
        // Annotations are often shared among objects, which a change of them would end.
        let isApplied = object.metadata.annotations[Self.lastApplied] != nil
        guard isApplied || reduce != nil else { return object }
        var object = object
        if isApplied { object.metadata.annotations[Self.lastApplied] = nil }
        reduce?(&object)
        return object
    }

    private func forget(_ key: ObjectKey) {
        store.remove(key)
        onChange(StoreChange(key: key, kind: .deleted, priority: .live))
    }

    /// An object that is there but cannot be read is not gone: what was known of it stays.
    private func lastReadable(_ object: UndecodableObject) -> Resource? {
        store[ObjectKey(namespace: object.namespace, name: object.name)]
    }

    /// An object nobody can read must not stop the others.
    private func report(_ objects: [UndecodableObject]) {
        if !objects.isEmpty { undecodable.increment(by: objects.count) }
        for object in objects {
            logger.warning(
                "object cannot be read and is left out",
                metadata: [
                    "object": .string("\(object.namespace)/\(object.name)"), "reason": .string(object.reason),
                ])
        }
    }

    private func failed(_ action: String, _ error: any Error, after time: Duration) -> ListWatchMachine.Input {
        if !(error is CancellationError) {
            logger.info(
                "following objects was interrupted",
                metadata: ["action": .string(action), "error": .string(String(describing: error))])
        }
        return .failed(ListWatchMachine.Failure(error), after: time)
    }
}
