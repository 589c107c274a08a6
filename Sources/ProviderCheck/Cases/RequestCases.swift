import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit
import Synchronization

/// What verbs answer to requests that ask for nothing, or are wrong.
enum RequestCases {
    /// A request that every verb refuses, and what its message must name.
    private struct Mistake {
        var request: Data
        var field: String?

        init(_ request: String, names field: String? = nil) {
            self.request = Data(request.utf8)
            self.field = field
        }

        init(bytes: [UInt8]) {
            request = Data(bytes)
        }
    }

    private static let mistakes = [
        Mistake(""), Mistake(" "), Mistake("{"), Mistake("}"), Mistake("[]"), Mistake("null"), Mistake("7"),
        Mistake(#""items""#), Mistake(#"{"items": [}"#), Mistake(#"{"items": []} x"#), Mistake(#"{"items": []"#),
        Mistake(#"{'items': []}"#), Mistake(#"{"items": [{"id": "a" "id": "b"}]}"#), Mistake(#"{"items": ["\x"]}"#),
        Mistake(bytes: [0]), Mistake(bytes: Array(#"{"items": []}"#.utf8) + [0]), Mistake(bytes: [0xFF, 0xFE]),
        Mistake(#"{"items": 7}"#, names: "items"), Mistake(#"{"items": {}}"#, names: "items"),
        Mistake(#"{"items": "all"}"#, names: "items"), Mistake(#"{"items": [7]}"#, names: "items"),
        Mistake(#"{"items": [[]]}"#, names: "items"), Mistake(#"{"items": [{"id": 7}]}"#, names: "items"),
        Mistake(#"{"items": [{"id": null}]}"#, names: "items"), Mistake(#"{"items": [{"id": ["a"]}]}"#, names: "items"),
    ]

    /// Whether two texts are the same but for what JSON calls whitespace is nobody's business here.
    private static let strangeButGood = [
        "\t{\r\n \"items\" : [ ] }\n", #"{"items": [], "items2": {"deep": [[[{"a": null}]]]}}"#,
        #"{"x": "\u0000\ud83d\ude00", "items": []}"#, #"{"x": 1e400, "y": -0.0, "items": []}"#,
        #"{"": "", "items": [], "é": true}"#,
    ]

    static let all = [
        CheckCase(
            "verbs-reject-malformed-json",
            "A request that is not JSON or not of the verb's shape ends with EGP_INVALID and a message that names the field.",
            buildsOn: VerbCases.completes
        ) { context in
            try context.onInstance { instance, verbs in
                for verb in verbs {
                    for mistake in mistakes {
                        let text = String(decoding: mistake.request, as: UTF8.self)
                        context.step("calling \(verb.what) with \(text)")
                        let answer = try instance.call(verb.function, verb.what, mistake.request)
                        try require(
                            answer.code == egp_code(EGP_INVALID),
                            "\(verb.what) answers the request \(text) with \(answer.summary); needed is EGP_INVALID")
                        guard let completion = answer.completion else { continue }
                        try require(!completion.message.isEmpty, "\(verb.what) does not say what is wrong in \(text)")
                        if let field = mistake.field {
                            try require(
                                completion.messageText.contains(field),
                                "\(verb.what) does not name \(field) in its message on \(text): \(completion.messageText)"
                            )
                        }
                    }
                }
            }
        },
        CheckCase(
            "verbs-ignore-unknown-members",
            "Members that the verb does not know, of whatever kind, and all forms of whitespace change nothing.",
            buildsOn: VerbCases.completes
        ) { context in
            try context.onInstance { instance, verbs in
                for verb in verbs where verb.name != .prune {
                    let plain = try instance.call(verb.function, verb.what, RequestText.empty)
                    for text in strangeButGood {
                        context.step("calling \(verb.what) with \(text)")
                        let answer = try instance.call(verb.function, verb.what, Data(text.utf8))
                        try require(
                            answer.code == plain.code,
                            "\(verb.what) answers \(text) with \(answer.summary), and the same without the members that it "
                                + "need not know with \(plain.summary)")
                    }
                }
            }
        },
        CheckCase(
            "empty-batches-are-answered", "ensure, remove and check of no item end with EGP_OK and an empty list.",
            buildsOn: VerbCases.completes
        ) { context in
            try context.onInstance { instance, verbs in
                for verb in verbs where verb.name != .prune && verb.name != .status {
                    context.step("calling \(verb.what) with no item")
                    let answers = try Stage.items(
                        of: instance.call(verb.function, verb.what, RequestText.empty))
                    try require(answers.isEmpty, "\(verb.what) of no item answers \(answers.count) items")
                }
            }
        },
        CheckCase(
            "deep-json-is-survived", "A request nested 100,000 levels deep, or of one long string, is answered.",
            buildsOn: VerbCases.completes
        ) { context in
            let texts = [
                String(repeating: "[", count: 100_000), String(repeating: #"{"items":"#, count: 100_000),
                #"{"items": [], "x": "# + String(repeating: "[", count: 50_000)
                    + String(repeating: "]", count: 50_000) + "}",
                #"{"items": [{"id": ""# + String(repeating: "a", count: 2_000_000),
                #"{"items": ["# + String(repeating: "0,", count: 200_000) + "0]}",
            ]
            try context.onInstance { instance, verbs in
                for verb in verbs {
                    for (index, text) in texts.enumerated() where verb.name != .prune || index != 2 {
                        context.step("calling \(verb.what) with \(text.prefix(24))... (\(text.utf8.count) bytes)")
                        _ = try instance.call(verb.function, verb.what, Data(text.utf8))
                    }
                }
            }
        },
        CheckCase(
            "cancel-of-unknown-is-harmless",
            "cancel of a ticket that is unknown, has ended, or is 0 has no effect.", buildsOn: VerbCases.completes
        ) { context in
            try context.onInstance { instance, verbs in
                for ticket: UInt64 in [0, 1, 77, .max] {
                    context.step("cancelling the ticket \(ticket), which was not given")
                    instance.cancel(ticket)
                }
                for verb in verbs where verb.name != .prune {
                    context.step("calling \(verb.what)")
                    let pending = instance.host.open(verb.what, items: [])
                    let (code, time) = RequestText.empty.withBorderBytes {
                        instance.start(pending, verb.function, $0)
                    }
                    _ = try instance.finish(pending, code, time, limit: CheckLimits.emptyCall)
                    context.step("cancelling \(verb.what), which has ended")
                    for _ in 0..<2 { instance.cancel(pending.ticket) }
                }
                context.pause(CheckLimits.grace)
                let breaches = instance.host.breaches(.completedTwice, .completedUnknown)
                try require(breaches.isEmpty, breaches.joined(separator: "; "))
            }
        },
        CheckCase(
            "probe-answers", "probe ends with EGP_OK and tells by its schema whether the provider could work.",
            buildsOn: VerbCases.completes
        ) { context in
            let loaded = try context.load()
            guard let probe = loaded.provider.probe else { throw CheckError.skipped("offers no probe") }
            let instance = try context.makeInstance(loaded)
            context.step("calling probe")
            let answer = try instance.call(
                probe, "probe", Data(),
                options: LiveInstance.CallOptions(deadline: .seconds(context.settings.callSeconds)))
            guard answer.isOK, let result = answer.completion?.result else {
                throw CheckError.failed("ended with \(answer.summary); needed is EGP_OK, ready or not")
            }
            try SchemaCheck.require(result, .probeResult, "the result of probe")
            try instance.destroy()
        },
        CheckCase(
            "concurrent-calls-are-safe",
            "Calls from eight threads at a time complete once each, with the answers to their own requests.",
            buildsOn: VerbCases.completes + ["cancel-of-unknown-is-harmless"], timeLimit: .seconds(120)
        ) { context in
            try context.onInstance { instance, verbs in
                let verbs = verbs.filter { $0.name != .prune }
                let first = Mutex<(any Error)?>(nil)
                context.step("calling verbs from \(CheckLimits.threads) threads at a time")
                Threads.run(CheckLimits.threads) { thread in
                    for round in 0..<50 where first.withLock({ $0 == nil }) {
                        let verb = verbs[(thread + round) % verbs.count]
                        do {
                            let wrong = round % 2 == 0 ? RequestText.empty : Data(#"{"items": 7}"#.utf8)
                            let answer = try instance.call(
                                verb.function, verb.what, wrong,
                                options: LiveInstance.CallOptions(deadline: .seconds(20)))
                            if round % 2 == 1, answer.code != egp_code(EGP_INVALID) {
                                throw CheckError.failed(
                                    "\(verb.what) answers a wrong request with \(answer.summary) beside other calls")
                            }
                            _ = instance.rawCapability(Data(verb.capability.utf8))
                            instance.cancel(.max - UInt64(thread))
                        } catch {
                            first.withLock { $0 = $0 ?? error }
                        }
                    }
                }
                if let error = first.withLock({ $0 }) { throw error }
                context.pause(CheckLimits.grace)
                let breaches = instance.host.breaches(.completedTwice, .completedUnknown)
                try require(breaches.isEmpty, breaches.joined(separator: "; "))
            }
        },
    ]
}
