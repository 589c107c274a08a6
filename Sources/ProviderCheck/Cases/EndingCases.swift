import FoundationEssentials
import ProviderAPI
import ProviderKit

/// Calls that nobody waits for.
enum EndingCases {
    static let all = [
        CheckCase(
            "cancelled-calls-complete-once",
            "A call that is cancelled while it runs completes exactly once, and its instance goes on working.",
            buildsOn: VerbCases.completes + ["cancel-of-unknown-is-harmless"]
        ) { context in
            try context.onInstance { instance, verbs in
                for verb in verbs where verb.name != .prune {
                    for _ in 0..<5 {
                        context.step("cancelling \(verb.what) while it runs")
                        let pending = instance.host.open(verb.what, items: [])
                        // The ticket may be cancelled before the verb has returned.
                        let early = UncheckedBox(instance)
                        let result = CallResult()
                        Threads.run(2) { thread in
                            if thread == 0 {
                                RequestText.empty.withBorderBytes {
                                    result.set(early.value.start(pending, verb.function, $0).0)
                                }
                            } else {
                                for _ in 0..<20 { early.value.cancel(pending.ticket) }
                            }
                        }
                        instance.cancel(pending.ticket)
                        _ = try instance.finish(pending, result.code, .zero, limit: CheckLimits.emptyCall)
                        instance.cancel(pending.ticket)
                    }
                }
                context.pause(CheckLimits.grace)
                let breaches = instance.host.breaches(.completedTwice, .completedUnknown)
                try require(breaches.isEmpty, breaches.joined(separator: "; "))
                for verb in verbs where verb.name != .prune {
                    _ = try instance.call(verb.function, verb.what, RequestText.empty)
                }
            }
        },
        CheckCase(
            "overdue-calls-complete", "A call whose deadline has passed before it began completes all the same, once.",
            buildsOn: VerbCases.completes
        ) { context in
            try context.onInstance { instance, verbs in
                for verb in verbs where verb.name != .prune {
                    for deadline in [Duration.seconds(-1), .zero, .milliseconds(1), .seconds(-100_000)] {
                        context.step("calling \(verb.what) with a deadline of \(deadline) from now")
                        _ = try instance.call(
                            verb.function, verb.what, RequestText.empty,
                            options: LiveInstance.CallOptions(deadline: deadline, limit: CheckLimits.emptyCall))
                    }
                }
                context.pause(CheckLimits.grace)
                let breaches = instance.host.breaches(.completedTwice, .completedUnknown)
                try require(breaches.isEmpty, breaches.joined(separator: "; "))
            }
        },
        CheckCase(
            "ensure-can-be-given-up",
            "An ensure that is cancelled or overdue leaves each item so that the next ensure and remove put it right.",
            buildsOn: ["ensure-is-idempotent", "cancelled-calls-complete-once", "overdue-calls-complete"],
            needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                guard let verb = try stage.instance.verb(.ensure, of: stage.capability) else { return }
                let request = RequestText.batch(stage.items)
                for delay in [Duration.zero, .milliseconds(3), .milliseconds(30)] {
                    let (pending, code, time) = stage.instance.begin(
                        verb.function, verb.what, request, items: stage.items.compactMap(\.identifier),
                        options: LiveInstance.CallOptions(deadline: delay == .zero ? .seconds(-1) : stage.callTime))
                    context.pause(delay)
                    stage.instance.cancel(pending.ticket)
                    _ = try stage.instance.finish(pending, code, time, limit: stage.callTime)
                    try stage.succeed(.ensure, stage.items)
                    try stage.succeed(.remove, stage.items)
                }
            }
        },
    ]
}

/// What a verb returned on another thread, which is awaited before it is read.
private final class CallResult: @unchecked Sendable {
    private(set) var code = egp_code(EGP_OK)

    func set(_ code: egp_code) { self.code = code }
}
