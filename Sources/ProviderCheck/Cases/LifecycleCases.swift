import FoundationEssentials
import Glibc
import ProviderAPI
import ProviderKit

/// What instances leave to each other and to the process.
enum LifecycleCases {
    static let all = [
        CheckCase(
            "create-keeps-no-argument", "create does not look at the settings or the message after it has returned.",
            buildsOn: VerbCases.completes
        ) { context in
            let loaded = try context.load()
            let host = try context.makeHost()
            let answer = try context.create(loaded.provider, host, context.configuration, takesAway: true)
            guard let pointer = answer.pointer else { throw CheckError.failed("create sets no instance") }
            let instance = LiveInstance(host: host, provider: loaded.provider, pointer: pointer)
            for verb in try instance.allVerbs(loaded) where verb.name != .prune {
                context.step("calling \(verb.what) after the settings of create are gone")
                _ = try instance.call(verb.function, verb.what, RequestText.empty)
            }
            try instance.destroy()
        },
        CheckCase(
            "create-lives-with-a-small-host",
            "With a host that offers only what is always there, create succeeds or answers EGP_UNSUPPORTED, and verbs work.",
            buildsOn: VerbCases.completes
        ) { context in
            let loaded = try context.load()
            for extent in [RawHost.Extent.required, .fullWithoutOptional] {
                let host = try context.makeHost(extent)
                context.step("calling create with a host without optional services")
                let answer = try context.create(loaded.provider, host, context.configuration)
                if answer.code == egp_code(EGP_UNSUPPORTED) {
                    try require(!answer.message.isEmpty, "does not say which service is missing")
                    continue
                }
                guard answer.code == egp_code(EGP_OK), let pointer = answer.pointer else {
                    throw CheckError.failed("create answers \(answer.code): \(answer.messageText)")
                }
                let instance = LiveInstance(host: host, provider: loaded.provider, pointer: pointer)
                for verb in try instance.allVerbs(loaded) where verb.name != .prune {
                    context.step("calling \(verb.what) with a host without optional services")
                    let (pending, code, time) = instance.begin(verb.function, verb.what, RequestText.empty)
                    _ = try? instance.finish(pending, code, time, limit: CheckLimits.emptyCall)
                }
                try instance.destroy()
            }
        },
        CheckCase(
            "destroy-ends-calls-in-flight",
            "After destroy has returned, no thread of the plugin calls the host, whatever was under way.",
            buildsOn: VerbCases.completes + ["concurrent-calls-are-safe"]
        ) { context in
            let loaded = try context.load()
            for round in 0..<10 {
                let instance = try context.makeInstance(loaded, quietly: true)
                context.step("calling destroy with calls in flight, round \(round + 1)")
                for verb in try instance.allVerbs(loaded) where verb.name != .prune {
                    for _ in 0..<8 { _ = instance.begin(verb.function, verb.what, RequestText.empty) }
                }
                try instance.destroy()
                if round == 9 { context.pause(.milliseconds(300)) }
                let breaches = instance.host.breaches(.afterDestroy)
                try require(breaches.isEmpty, breaches.joined(separator: "; "))
            }
        },
        CheckCase(
            "instances-leave-nothing-behind",
            "Making and ending 100 instances leaves no descriptor, thread, process or memory behind.",
            buildsOn: InstanceCases.base,
            unlessFailed: ["concurrent-calls-are-safe", "destroy-ends-calls-in-flight"], timeLimit: .seconds(120)
        ) { context in
            let loaded = try context.load()
            let round = { try context.makeInstance(loaded, quietly: true).destroy() }
            context.step("making and ending instances")
            for _ in 0..<CheckLimits.warmUpRounds { try round() }
            let before = ProcessState.settled()
            for _ in 0..<CheckLimits.growthRounds { try round() }
            try requireNoGrowth(since: before, rounds: CheckLimits.growthRounds, of: "instances")
        },
        CheckCase(
            "calls-leave-nothing-behind",
            "A hundred calls of each verb leave no descriptor, thread, process or memory behind.",
            buildsOn: VerbCases.completes, timeLimit: .seconds(120)
        ) { context in
            try context.onInstance { instance, verbs in
                let verbs = verbs.filter { $0.name != .prune }
                let round = {
                    for verb in verbs {
                        let wrong = Data(#"{"items": [{"id": 7}]}"#.utf8)
                        _ = try instance.call(verb.function, verb.what, RequestText.empty)
                        _ = try instance.call(verb.function, verb.what, wrong)
                    }
                    instance.host.forgetEndedCalls()
                }
                for _ in 0..<CheckLimits.warmUpRounds { try round() }
                let before = ProcessState.settled()
                for _ in 0..<CheckLimits.growthRounds { try round() }
                try requireNoGrowth(
                    since: before, rounds: CheckLimits.growthRounds * verbs.count * 2, of: "calls")
            }
        },
        CheckCase(
            "instances-are-independent",
            "Two instances complete their own calls to their own hosts, and the end of one does not show in the other.",
            buildsOn: VerbCases.completes, unlessFailed: ["destroy-ends-calls-in-flight"]
        ) { context in
            let loaded = try context.load()
            let first = try context.makeInstance(loaded)
            let second = try context.makeInstance(loaded)
            try require(first.pointer != second.pointer, "create gives the same instance twice")
            try callEach(context, loaded, first)
            try callEach(context, loaded, second)
            context.step("destroying the first of two instances")
            try first.destroy()
            try callEach(context, loaded, second)
            let third = try context.makeInstance(loaded)
            try callEach(context, loaded, third)
            try second.destroy()
            try callEach(context, loaded, third)
            try third.destroy()
            context.pause(CheckLimits.grace)
            for instance in [first, second, third] {
                let breaches = instance.host.breaches(.afterDestroy, .completedUnknown, .completedTwice)
                try require(breaches.isEmpty, breaches.joined(separator: "; "))
            }
        },
    ]

    private static func callEach(
        _ context: CaseContext, _ loaded: LoadedProvider, _ instance: LiveInstance
    ) throws {
        for verb in try instance.allVerbs(loaded) where verb.name != .prune {
            context.step("calling \(verb.what) of one of several instances")
            let answer = try instance.call(
                verb.function, verb.what, RequestText.empty,
                options: LiveInstance.CallOptions(deadline: CheckLimits.emptyCall))
            try require(
                answer.returned == egp_code(EGP_OK), "\(verb.what) of one of several instances: \(answer.summary)")
        }
    }

    private static func requireNoGrowth(since before: ProcessState, rounds: Int, of what: String) throws {
        let after = ProcessState.settled(until: before)
        let opened = after.descriptors.count - before.descriptors.count
        // One or two may belong to a cache that is filled only now.
        try require(opened < 5, "\(rounds) \(what) have left \(opened) descriptors open")
        let threads = after.threads - before.threads
        try require(threads < 5, "\(rounds) \(what) have left \(threads) threads")
        try require(
            after.children.count <= before.children.count,
            "\(rounds) \(what) have left the processes \(after.children.joined(separator: ", "))")
        let grown = after.residentBytes - before.residentBytes
        try require(
            grown < rounds * CheckLimits.growthBytesPerRound,
            "\(rounds) \(what) have left \(grown / 1024) KiB of memory")
    }
}
