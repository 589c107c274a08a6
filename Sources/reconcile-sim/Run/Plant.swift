import FoundationEssentials
import JSONModel
import Kubernetes
import Reconcile

/// A defect that is put in on purpose, to see that the simulation finds it.
enum Plant: String, CaseIterable {
    case none
    /// A queue that loses a key: its first run is reported as done and never made.
    case loseKey = "lose-key"
    /// A controller that goes on without having stored its finalizer.
    case skipFinalizer = "skip-finalizer"
    /// A provider that reports a removal it did not make.
    case forgetRemoval = "forget-removal"
    /// A provider that writes whatever it decided on is still so or not.
    case ignoreVersions = "ignore-versions"
    /// A provider that takes the number of ports in use as the number of the next one.
    case countPorts = "count-ports"
    /// A process whose clock stands while it is stopped, so that it goes on as the leader that it was.
    case frozenClock = "frozen-clock"
    /// A manager that never looks in the cloud for what belongs to no object.
    case neverPrune = "never-prune"
    /// A controller that takes a conflict for a success.
    case swallowConflicts = "swallow-conflicts"

    /// The controller's function with the defect laid around it.
    func interpose(
        _ process: SimulatedProcess, _ controller: String, _ reconcile: @escaping @Sendable (ObjectKey) async -> Outcome
    ) -> @Sendable (ObjectKey) async -> Outcome {
        let plant = self
        return { [weak process] key in
            guard let process else { return .done }
            if plant == .loseKey, controller == "load-balancer", process.world.isFirstRun(of: key) { return .done }
            let outcome = await reconcile(key)
            process.world.note("\(process.name): \(controller) \(key): \(outcome.word)")
            if plant == .swallowConflicts, case .conflict = outcome { return .done }
            return outcome
        }
    }

    /// What a client with the defect believes the server answered; nil: it asks the server.
    func answer(
        _ request: APIRequest, _ target: SimulatedServer.Target, _ server: SimulatedServer
    ) -> SimulatedServer.Answer? {
        guard self == .skipFinalizer, request.method == .patch, !target.isStatus,
            let patch = try? JSONValue(json: request.body ?? Data()),
            patch["metadata.finalizers"]?.elements.isEmpty == false,
            let object = server.object(target.plural, target.key)
        else { return nil }
        return SimulatedServer.Answer(body: SimulatedServer.merge(object, patch))
    }

    /// The port of a new rule.
    func port(among ports: [String: Int]) -> Int {
        if self == .countPorts { return 6000 + ports.count }
        let taken = Set(ports.values)
        return (6000...6999).first { !taken.contains($0) } ?? 0
    }
}

extension Outcome {
    /// One word for the trace; what an error says may name addresses of memory.
    var word: String {
        switch self {
        case .done: "done"
        case .requeue: "requeue"
        case .throttled: "throttled"
        case .retry: "retry"
        case .terminal: "terminal"
        case .conflict: "conflict"
        }
    }
}
