import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit

/// How verbs begin and end, whatever they are asked.
enum VerbCases {
    private static let returns = ["capabilities-match-descriptor"]
    private static let completed = ["verbs-return-in-time", "verbs-complete-exactly-once"]
    /// What nearly every other case of verbs builds on.
    static let completes =
        completed + [
            "completions-are-well-formed", "verbs-read-within-the-request", "verbs-keep-no-request",
        ]

    /// Requests that change nothing: they ask for nothing, or are wrong.
    private static let harmless = [
        RequestText.empty, Data(#"{"items": 7}"#.utf8), Data("{".utf8), Data(#"{"items": [{"id": 7}]}"#.utf8),
    ]

    /// A verb with a request that changes nothing; prune with an empty list would remove everything.
    private static func harmlessRequests(_ verb: OfferedVerb) -> [Data] {
        verb.name == .prune ? Array(harmless.dropFirst()) : harmless
    }

    static let all = [
        CheckCase(
            "verbs-return-in-time",
            "Each verb returns within 5 s, whatever it goes on to do; longer than a quarter of a second is a warning.",
            buildsOn: returns
        ) { context in
            try context.onInstance { instance, verbs in
                var slow: [String] = []
                for verb in verbs {
                    context.step("calling \(verb.what)")
                    let request = verb.name == .prune ? harmless[1] : RequestText.empty
                    let (pending, code, time) = instance.begin(verb.function, verb.what, request)
                    if time > CheckLimits.hostThread {
                        throw CheckError.failed("\(verb.what) returned after \(time); allowed are 5 s")
                    }
                    // Whether it completes is the next case's to find.
                    _ = try? instance.finish(pending, code, time, limit: CheckLimits.emptyCall)
                    if time > CheckLimits.verbWarning { slow.append("\(verb.what) returned after \(time)") }
                }
                for text in slow { context.warn(text) }
            }
        },
        CheckCase(
            "verbs-complete-exactly-once",
            "Each accepted call is completed once, and nothing else is completed.",
            buildsOn: returns + ["verbs-return-in-time"]
        ) { context in
            try context.onInstance { instance, verbs in
                for verb in verbs {
                    for request in harmlessRequests(verb) {
                        context.step("calling \(verb.what)")
                        _ = try instance.call(
                            verb.function, verb.what, request,
                            options: LiveInstance.CallOptions(deadline: CheckLimits.emptyCall))
                    }
                }
                context.pause(CheckLimits.grace)
                let breaches = instance.host.breaches(.completedTwice, .completedUnknown)
                try require(breaches.isEmpty, breaches.joined(separator: "; "))
            }
        },
        CheckCase(
            "completions-are-well-formed",
            "A completion has its full size and a known code, a result or else a message of one line, and no more.",
            buildsOn: completed
        ) { context in
            try context.onInstance { instance, verbs in
                for verb in verbs {
                    for request in harmlessRequests(verb) {
                        context.step("calling \(verb.what)")
                        let answer = try instance.call(verb.function, verb.what, request)
                        if let completion = answer.completion, let problem = CompletionForm.problem(of: completion) {
                            throw CheckError.failed("the completion of \(verb.what) \(problem)")
                        }
                    }
                }
            }
        },
        CheckCase(
            "verbs-read-within-the-request",
            "A verb reads no byte beyond the request and none beyond the call: neither is followed by a NUL.",
            buildsOn: completed
        ) { context in
            try context.onInstance { instance, verbs in
                let item = #"{"items": [{"id": "a", "x": "\u00e9"}], "y": 1.5e3, "z": [null, true]}"#
                for verb in verbs {
                    for length in 0...item.utf8.count {
                        let request = try GuardedMemory(Data(item.utf8.prefix(length)))
                        // Whole, it may be a good request of a capability that asks for an id only.
                        if length == item.utf8.count, verb.name != .status { continue }
                        context.step("calling \(verb.what) with the first \(length) bytes of a request")
                        let pending = instance.host.open(verb.what, items: [])
                        let bytes = egp_bytes(data: length == 0 ? nil : request.bytes, length: UInt64(length))
                        let (code, time) = instance.start(pending, verb.function, bytes)
                        _ = try instance.finish(pending, code, time, limit: CheckLimits.emptyCall)
                    }
                }
            }
        },
        CheckCase(
            "verbs-keep-no-request", "A verb does not look at the request after it has returned.",
            buildsOn: completed + ["verbs-read-within-the-request"]
        ) { context in
            try context.onInstance { instance, verbs in
                for verb in verbs {
                    for request in harmlessRequests(verb) {
                        context.step("taking the request of \(verb.what) away when it has returned")
                        let lent = try GuardedMemory(request)
                        let pending = instance.host.open(verb.what, items: [])
                        let (code, time) = instance.start(
                            pending, verb.function, egp_bytes(data: lent.bytes, length: UInt64(lent.count)),
                            options: LiveInstance.CallOptions(takesAway: true))
                        lent.lock()
                        _ = try instance.finish(pending, code, time, limit: CheckLimits.emptyCall)
                    }
                }
                context.pause(CheckLimits.grace)
            }
        },
        CheckCase(
            "verbs-refuse-unknown-flags", "A call with a flag that 1.0 does not know is refused with EGP_INVALID.",
            buildsOn: completes
        ) { context in
            try expectRefusal(context, [refusals[0], refusals[1]]) { "the flags \($0.flags)" }
        },
        CheckCase(
            "verbs-refuse-short-call", "A call whose struct is smaller than that of 1.0 is refused with EGP_INVALID.",
            buildsOn: completes
        ) { context in
            try expectRefusal(context, [refusals[2], refusals[3]]) { "the size \($0.size)" }
        },
        CheckCase(
            "verbs-take-long-call", "A call whose struct is larger than that of 1.0 is taken as one of 1.0.",
            buildsOn: completes
        ) { context in
            try context.onInstance { instance, verbs in
                for verb in verbs {
                    context.step("calling \(verb.what) with a larger egp_call")
                    let request = verb.name == .prune ? harmless[1] : RequestText.empty
                    let plain = try instance.call(verb.function, verb.what, request)
                    let long = try instance.call(
                        verb.function, verb.what, request, options: LiveInstance.CallOptions(size: 64))
                    try require(
                        long.returned == plain.returned && long.code == plain.code,
                        "\(verb.what) with a larger egp_call: \(long.summary); with one of 1.0: \(plain.summary)")
                }
            }
        },
        CheckCase(
            "refused-calls-do-not-complete",
            "A verb that returns another code than EGP_OK does not complete the call, and the code is a known one.",
            buildsOn: completes + ["verbs-refuse-unknown-flags", "verbs-refuse-short-call"]
        ) { context in
            try context.onInstance { instance, verbs in
                for verb in verbs {
                    for options in refusals {
                        context.step("calling \(verb.what) with size \(options.size) and flags \(options.flags)")
                        let (_, code, _) = instance.begin(verb.function, verb.what, harmless[1], options: options)
                        let allowed = [EGP_OK, EGP_INVALID, EGP_RETRY, EGP_UNSUPPORTED].map { egp_code($0) }
                        try require(allowed.contains(code), "\(verb.what) returned the code \(code)")
                    }
                }
                context.pause(CheckLimits.grace)
                let breaches = instance.host.breaches(.completedUnknown)
                try require(breaches.isEmpty, breaches.joined(separator: "; "))
            }
        },
        CheckCase(
            "verbs-refuse-oversized", "A request of more than EGP_MAXIMUM_BYTES is refused with EGP_INVALID.",
            buildsOn: completes
        ) { context in
            let count = Int(EGP_MAXIMUM_BYTES) + 1
            let request = try GuardedMemory(Data(repeating: UInt8(ascii: " "), count: count))
            // A good request, but for the spaces after it.
            RequestText.empty.copyBytes(
                to: UnsafeMutableRawBufferPointer(start: request.pointer, count: RequestText.empty.count))
            try context.onInstance { instance, verbs in
                for verb in verbs where verb.name != .prune {
                    context.step("calling \(verb.what) with \(count) bytes")
                    let pending = instance.host.open(verb.what, items: [])
                    let bytes = egp_bytes(data: request.bytes, length: UInt64(count))
                    let (code, _) = instance.start(pending, verb.function, bytes)
                    try require(
                        code == egp_code(EGP_INVALID),
                        "\(verb.what) returned \(code) for \(count) bytes; needed is EGP_INVALID")
                }
            }
        },
    ]

    /// Calls that 1.0 refuses.
    private static let refusals = [
        LiveInstance.CallOptions(flags: 1), LiveInstance.CallOptions(flags: 1 << 31), LiveInstance.CallOptions(size: 0),
        LiveInstance.CallOptions(size: 16),
    ]

    private static func expectRefusal(
        _ context: CaseContext, _ calls: [LiveInstance.CallOptions], _ words: (LiveInstance.CallOptions) -> String
    ) throws {
        try context.onInstance { instance, verbs in
            for verb in verbs {
                for options in calls {
                    context.step("calling \(verb.what) with \(words(options))")
                    // The request is wrong as well, so that a verb that takes the call changes nothing; the code it
                    // returns tells the two apart.
                    let (_, code, _) = instance.begin(verb.function, verb.what, harmless[1], options: options)
                    try require(
                        code == egp_code(EGP_INVALID),
                        "\(verb.what) returned \(code) for \(words(options)); needed is EGP_INVALID")
                }
            }
        }
    }
}
