import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit
import Synchronization

/// Random requests, settings and orders of calls; the same ones for the same `--seed`.
enum FuzzCases {
    /// Rounds per verb, and the time after which a case is content with fewer.
    private static let rounds = 300
    private static let time = Duration.seconds(10)

    static let all = [
        CheckCase(
            "fuzz-json",
            "Requests made by random changes of good ones, or of samples, are each answered in the ordinary way.",
            buildsOn: VerbCases.completes + [
                "verbs-reject-malformed-json", "deep-json-is-survived",
                "concurrent-calls-are-safe",
            ], unlessFailed: ["results-match-schema", "results-name-each-item-once"], timeLimit: .seconds(300)
        ) { context in
            try context.onInstance { instance, verbs in
                var mutator = JSONMutator(generator: SeededGenerator(seed: context.seed))
                for verb in verbs {
                    let stage = Stage(instance, verb.capability, context.settings)
                    try fuzz(context, stage, verb, &mutator)
                }
            }
        },
        CheckCase(
            "fuzz-configuration",
            "Settings made by random changes of the given ones are each taken or refused in the ordinary way.",
            buildsOn: ["create-rejects-garbage", "create-message-fits-its-buffer"], timeLimit: .seconds(120)
        ) { context in
            let loaded = try context.load()
            var mutator = JSONMutator(generator: SeededGenerator(seed: context.seed))
            let good = context.settings.config ?? .object(["a": .string("b"), "c": .object(["d": .integer(1)])])
            let end = ContinuousClock.now + time
            for round in 0..<rounds where ContinuousClock.now < end {
                let settings = mutator.text(near: good)
                let text = String(decoding: settings.prefix(300), as: UTF8.self)
                context.step("calling create in round \(round) of seed \(context.seed) with \(text)")
                let host = try context.makeHost()
                let answer = try context.create(
                    loaded.provider, host, settings, capacity: mutator.generator.pick([0, 16, 4096]))
                if answer.code == egp_code(EGP_OK) {
                    guard let pointer = answer.pointer else { throw CheckError.failed("sets no instance on \(text)") }
                    try LiveInstance(host: host, provider: loaded.provider, pointer: pointer).destroy()
                } else {
                    try require(answer.pointer == nil, "sets an instance although it refuses \(text)")
                    try require(
                        ResultCode(borderCode: answer.code) != nil, "answers the unknown code \(answer.code) to \(text)"
                    )
                }
            }
        },
        CheckCase(
            "fuzz-call-order",
            "In any legal order of calls on several instances and threads, each call completes once and none comes late.",
            buildsOn: VerbCases.completes + [
                "instances-are-independent", "destroy-ends-calls-in-flight", "cancelled-calls-complete-once",
                "overdue-calls-complete", "capability-unknown-is-null",
            ], timeLimit: .seconds(120)
        ) { context in
            let loaded = try context.load()
            let first = Mutex<(any Error)?>(nil)
            let shared = UncheckedBox((context, loaded))
            context.step("calling in random order, seed \(context.seed)")
            Threads.run(3) { thread in
                do {
                    var player = CallOrderPlayer(
                        context: shared.value.0, loaded: shared.value.1, seed: context.seed &+ UInt64(thread))
                    try player.play(until: ContinuousClock.now + time)
                } catch {
                    first.withLock { $0 = $0 ?? error }
                }
            }
            if let error = first.withLock({ $0 }) { throw error }
        },
    ]

    private static func fuzz(
        _ context: CaseContext, _ stage: Stage, _ verb: OfferedVerb, _ mutator: inout JSONMutator
    ) throws {
        let samples: [JSONValue] = [
            .object(["items": .array([])]), .object(["items": .array([.object(["id": .string("a")])])]),
        ]
        let items = stage.items.map { stage.form($0, for: verb.name) }
        let end = ContinuousClock.now + time
        var made: [JSONValue] = []
        for round in 0..<rounds where ContinuousClock.now < end {
            // Without items nobody said that the world may be touched, and prune is never let loose.
            let mayAct = !items.isEmpty && verb.name != .prune
            let request =
                mayAct
                ? mutator.text(near: .object(["items": .array(items)]))
                : mutator.brokenText(near: mutator.generator.pick(samples))
            let text = String(decoding: request.prefix(300), as: UTF8.self)
            context.step("calling \(verb.what) in round \(round) of seed \(context.seed) with \(text)")
            let answer = try stage.instance.call(
                verb.function, verb.what, request, options: LiveInstance.CallOptions(deadline: stage.callTime))
            if let completion = answer.completion, let problem = CompletionForm.problem(of: completion) {
                throw CheckError.failed("round \(round) of seed \(context.seed): the completion of \(text) \(problem)")
            }
            if answer.isOK, let result = answer.completion?.result {
                // What a plugin repeats of a request beyond the schema may be beyond the schema itself.
                if try SchemaCheck.fits(request, requestOf: verb.name, of: verb.capability) {
                    try SchemaCheck.require(
                        result, resultOf: verb.name, of: verb.capability, "the result of \(text)")
                }
                if verb.name == .ensure, let asked = try? JSONValue(json: request) {
                    made += asked[member: "items"]?.elements ?? []
                }
            }
        }
        context.step("removing what the random requests made")
        for item in made + stage.items { _ = try? stage.answer(.remove, [item]) }
    }
}
