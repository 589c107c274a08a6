import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit

/// What verbs do to the world, with items of the `--config` file.
enum WorldCases {
    private static let base = VerbCases.completes
    /// Cases that need a working ensure and remove.
    static let works = ["ensure-is-idempotent", "remove-removes"]

    static let all = [
        CheckCase(
            "ensure-is-idempotent", "ensure makes all items; asked again it gives equal results.", buildsOn: base,
            needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                let first = try stage.succeed(.ensure, stage.items)
                let second = try stage.succeed(.ensure, stage.items)
                try require(first == second, "answers otherwise the second time: \(second), not \(first)")
            }
        },
        CheckCase(
            "remove-of-absent-succeeds", "remove of items that do not exist succeeds, again and again.", buildsOn: base,
            needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                for _ in 0..<2 { try stage.succeed(.remove, stage.items) }
            }
        },
        CheckCase(
            "remove-removes",
            "After ensure, status shows an item; after remove it does not, and remove succeeds again.",
            buildsOn: ["ensure-is-idempotent", "remove-of-absent-succeeds"], needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                try stage.succeed(.ensure, stage.items)
                if try stage.offers(.status) {
                    for answer in try stage.call(.status, stage.items) {
                        try require(
                            answer.code == "ok" && answer.observed != nil,
                            "after ensure, status says: \(answer.summary)")
                    }
                }
                try stage.succeed(.remove, stage.items)
                if try stage.offers(.status) {
                    for answer in try stage.call(.status, stage.items) {
                        try require(
                            answer.code != "ok" || answer.observed == nil,
                            "after remove, status still shows \(answer.id)")
                    }
                }
                try stage.succeed(.remove, stage.items)
            }
        },
        CheckCase(
            "bad-items-fail-alone", "An item that ensure must refuse fails by itself, and the others succeed.",
            buildsOn: works, needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                guard !stage.invalidItems.isEmpty else {
                    throw CheckError.skipped("the --config file gives no invalidItems")
                }
                let good = Set(stage.items.compactMap(\.identifier))
                for items in [stage.items + stage.invalidItems, stage.invalidItems + stage.items] {
                    for answer in try stage.call(.ensure, items) {
                        if good.contains(answer.id) {
                            try require(answer.code == "ok", "beside a bad item: \(answer.summary)")
                        } else {
                            try require(answer.code != "ok", "the bad item \(answer.id) is ok")
                            try require(!answer.message.isEmpty, "does not say what is wrong with \(answer.id)")
                        }
                    }
                }
            }
        },
        CheckCase(
            "results-match-schema", "Results of all verbs are JSON by the schema of the capability.", buildsOn: works,
            unlessFailed: ["bad-items-fail-alone"],
            needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                let bad = stage.invalidItems
                for (verb, items) in [
                    (Verb.status, stage.items), (.check, stage.items), (.ensure, stage.items + bad),
                    (.check, stage.items + bad), (.status, stage.items), (.status, []), (.remove, stage.items + bad),
                ] where try stage.offers(verb) {
                    let answer = try stage.answer(verb, items)
                    guard answer.isOK, let result = answer.completion?.result else {
                        throw CheckError.failed("\(answer.what) ended with \(answer.summary); needed is EGP_OK")
                    }
                    try SchemaCheck.require(
                        result, resultOf: verb, of: stage.capability, "the result of \(answer.what)")
                }
            }
        },
        CheckCase(
            "results-name-each-item-once", "A result has one item for each id of the request, and no other.",
            buildsOn: works, unlessFailed: ["bad-items-fail-alone"], needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                let all = stage.items + stage.invalidItems
                for verb in [Verb.status, .check, .ensure, .check, .status, .remove] where try stage.offers(verb) {
                    for items in [all, Array(all.prefix(1)), all.reversed()] {
                        let got = try stage.call(verb, items).map(\.id).sorted()
                        let wanted = items.compactMap(\.identifier).sorted()
                        try require(
                            got == wanted,
                            "\(verb.rawValue) of \(stage.capability), asked for \(wanted), answers \(got)")
                    }
                }
            }
        },
        CheckCase(
            "status-lists-what-exists",
            "status of no item lists every item that exists; of a tunnel or a pod network it may list none.",
            buildsOn: works, needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                guard try stage.offers(.status) else { throw CheckError.skipped("offers no verb status") }
                let made = try stage.succeed(.ensure, stage.items).map(\.id)
                let listed = try stage.call(.status, [])
                for answer in listed where made.contains(answer.id) {
                    try require(answer.code == "ok" && answer.observed != nil, "status of all says: \(answer.summary)")
                }
                try stage.succeed(.remove, stage.items)
                let left = try stage.call(.status, []).filter { made.contains($0.id) && $0.observed != nil }
                try require(left.isEmpty, "status of all still lists \(left.map(\.id)) after remove")
                // Their schemas say so: what is in a namespace is not known without its name.
                if [Tunnel.identifier, PodNetwork.identifier].contains(stage.capability), listed.isEmpty { return }
                let missing = made.filter { id in !listed.contains { $0.id == id } }
                try require(missing.isEmpty, "status of all does not list \(missing)")
            }
        },
        CheckCase(
            "check-changes-nothing",
            "check tells that absent items differ and makes none; of items that ensure made it says ok.",
            buildsOn: works, needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                guard try stage.offers(.check) else { throw CheckError.skipped("offers no verb check") }
                for _ in 0..<2 {
                    for answer in try stage.call(.check, stage.items) {
                        try require(answer.code != "ok", "check of the absent item \(answer.id) says ok")
                    }
                }
                if try stage.offers(.status) {
                    for answer in try stage.call(.status, stage.items) {
                        try require(
                            answer.code != "ok" || answer.observed == nil, "check has made the item \(answer.id)")
                    }
                }
                try stage.succeed(.ensure, stage.items)
                try stage.succeed(.check, stage.items)
            }
        },
        CheckCase(
            "prune-keeps-what-is-named", "prune removes items that are not named, and keeps those that are.",
            buildsOn: works, needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage(prune)
        },
        CheckCase(
            "duplicate-ids-are-refused", "A batch that names an id twice is refused as a whole, and nothing is made.",
            buildsOn: works, needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                guard let item = stage.items.first else { return }
                for verb in [Verb.ensure, .remove] {
                    let answer = try stage.answer(verb, [item, item])
                    try require(
                        answer.code == egp_code(EGP_INVALID),
                        "\(answer.what) with one id twice ended with \(answer.summary); needed is EGP_INVALID")
                }
                guard try stage.offers(.status) else { return }
                for answer in try stage.call(.status, [item]) {
                    try require(answer.code != "ok" || answer.observed == nil, "has made the item \(answer.id)")
                }
            }
        },
        CheckCase(
            "items-ignore-unknown-members", "Members of an item that the capability does not know change nothing.",
            buildsOn: works, needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                let plain = try stage.succeed(.ensure, stage.items)
                let strange = stage.items.map { item in
                    var members = item.members ?? [:]
                    members["egressProviderCheck"] = .object(["a": .array([.null, .number(1.5)])])
                    return JSONValue.object(members)
                }
                let answers = try stage.succeed(.ensure, strange)
                try require(answers == plain, "answers otherwise: \(answers), not \(plain)")
            }
        },
    ]

    private static func prune(_ stage: Stage) throws {
        guard try stage.offers(.prune) else { throw CheckError.skipped("offers no verb prune") }
        guard let scopes = stage.pruneScopes else {
            throw CheckError.skipped("the --config file gives no scopes for prune")
        }
        guard stage.items.count > 1, let kept = stage.items.first else {
            throw CheckError.skipped("the --config file gives less than two items")
        }
        let result = { (keeping: [JSONValue]) throws in
            let answer = try stage.answer(.prune, keeping, scopes)
            let items = try Stage.items(of: answer)
            try SchemaCheck.require(
                answer.completion?.result ?? Data(), resultOf: .prune, of: stage.capability,
                "the result of \(answer.what)")
            for item in items where item.code != "ok" { throw CheckError.failed("prune: \(item.summary)") }
        }
        try stage.succeed(.ensure, stage.items)
        try result(stage.items)
        for answer in try stage.call(.status, stage.items) {
            try require(answer.observed != nil, "prune has removed \(answer.id), which was named")
        }
        for _ in 0..<2 {
            try result([kept])
            for answer in try stage.call(.status, stage.items) {
                let isKept = answer.id == kept.identifier
                try require(
                    (answer.code == "ok" && answer.observed != nil) == isKept,
                    isKept ? "prune has removed \(answer.id), which was named" : "prune has not removed \(answer.id)")
            }
        }
    }
}
