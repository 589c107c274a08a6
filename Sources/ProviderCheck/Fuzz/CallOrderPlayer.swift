import FoundationEssentials
import ProviderAPI
import ProviderKit

/// Plays one thread of random calls on instances of its own.
struct CallOrderPlayer {
    let context: CaseContext
    let loaded: LoadedProvider
    private var generator: SeededGenerator
    private var instances: [(instance: LiveInstance, verbs: [OfferedVerb])] = []
    private var open: [(instance: LiveInstance, call: PendingCall)] = []
    private var ended: [LiveInstance] = []

    private static let steps = 400
    private static let maximumInstances = 4

    init(context: CaseContext, loaded: LoadedProvider, seed: UInt64) {
        self.context = context
        self.loaded = loaded
        generator = SeededGenerator(seed: seed)
    }

    mutating func play(until end: ContinuousClock.Instant) throws {
        for _ in 0..<Self.steps where ContinuousClock.now < end { try step() }
        while !instances.isEmpty { try destroy(at: 0) }
        context.pause(CheckLimits.grace)
        for instance in ended {
            let breaches = instance.host.breaches(.afterDestroy, .completedTwice, .completedUnknown)
            try require(breaches.isEmpty, "seed \(context.seed): \(breaches.joined(separator: "; "))")
        }
    }

    private mutating func step() throws {
        guard !instances.isEmpty else { return try create() }
        let index = generator.index(instances.count)
        let (instance, verbs) = instances[index]
        switch generator.index(20) {
        case 0 where instances.count < Self.maximumInstances: try create()
        case 1: try destroy(at: index)
        case 2: instance.cancel(generator.next())
        case 3, 4: if !open.isEmpty { cancel(generator.pick(open)) }
        case 5: _ = instance.rawCapability(Data(generator.pick(["", "x/1", "tunnel/1", "load-balancer/1"]).utf8))
        case 6: if !open.isEmpty { try finish(at: generator.index(open.count)) }
        default: call(instance, generator.pick(verbs))
        }
    }

    private mutating func create() throws {
        let instance = try context.makeInstance(loaded, quietly: true)
        instances.append((instance, try instance.allVerbs(loaded)))
    }

    private mutating func call(_ instance: LiveInstance, _ verb: OfferedVerb) {
        let wrong = Data(#"{"items": 7}"#.utf8)
        let request = verb.name == .prune ? wrong : generator.pick([RequestText.empty, wrong])
        let deadline = generator.pick([Duration.seconds(-1), .milliseconds(1), .seconds(20)])
        let (pending, code, _) = instance.begin(
            verb.function, verb.what, request, options: LiveInstance.CallOptions(deadline: deadline))
        if code == egp_code(EGP_OK) { open.append((instance, pending)) }
    }

    private func cancel(_ entry: (instance: LiveInstance, call: PendingCall)) {
        entry.instance.cancel(entry.call.ticket)
    }

    private mutating func finish(at index: Int) throws {
        let (instance, call) = open.remove(at: index)
        _ = try instance.finish(call, egp_code(EGP_OK), .zero, limit: CheckLimits.emptyCall)
    }

    private mutating func destroy(at index: Int) throws {
        let instance = instances.remove(at: index).instance
        open.removeAll { $0.instance === instance }
        try instance.destroy()
        ended.append(instance)
    }
}
