import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit

/// How the plugin uses the host.
enum SecrecyCases {
    /// Names of members of items whose values are secrets.
    private static let secretMembers = ["privateKey"]

    static let all = [
        CheckCase(
            "host-services-are-used-well",
            "Arguments of log, metric, event, timers and http_send are as the header asks for.",
            buildsOn: VerbCases.completes, timeLimit: .seconds(300)
        ) { context in
            try exercise(context) { instance in
                let breaches = instance.host.breaches(.badArguments)
                try require(breaches.isEmpty, breaches.joined(separator: "; "))
            }
        },
        CheckCase(
            "secrets-are-not-told",
            "Neither the secrets of the --config file nor the private keys of its items occur in log lines or answers.",
            buildsOn: WorldCases.works, needsItems: true, timeLimit: .seconds(300)
        ) { context in
            let items = context.settings.capabilities.values.flatMap { $0.items + $0.invalidItems }
            let secrets = Array(context.settings.secrets.values) + items.flatMap(secrets)
            guard secrets.contains(where: { $0.utf8.count >= 8 }) else {
                throw CheckError.skipped("the --config file holds no secret of at least 8 bytes")
            }
            try exercise(context) { instance in
                let texts = instance.host.logLines + instance.host.answerTexts
                for secret in secrets where secret.utf8.count >= 8 {
                    if let text = texts.first(where: { $0.contains(secret) }) {
                        let place = text.replacing(secret, with: "(the secret)")
                        throw CheckError.failed("tells a secret: \(place.prefix(300))")
                    }
                }
            }
        },
    ]

    /// Makes, looks at and removes all items there are, and asks for mistakes, then looks.
    private static func exercise(_ context: CaseContext, _ look: (LiveInstance) throws -> Void) throws {
        try context.onInstance { instance, verbs in
            for verb in verbs where verb.name != .prune {
                _ = try instance.call(verb.function, verb.what, RequestText.empty)
                _ = try instance.call(verb.function, verb.what, Data(#"{"items": [{"id": 7}]}"#.utf8))
            }
            if let probe = instance.provider.probe { _ = try instance.call(probe, "probe", Data()) }
            for capability in Set(verbs.map(\.capability)).sorted() {
                let stage = Stage(instance, capability, context.settings)
                guard !stage.items.isEmpty else { continue }
                let all = stage.items + stage.invalidItems
                for verb in [Verb.ensure, .check, .status, .remove] where try stage.offers(verb) {
                    _ = try stage.answer(verb, all)
                }
            }
            try look(instance)
        }
    }

    /// Values of secret members, however deep.
    private static func secrets(_ value: JSONValue) -> [String] {
        switch value {
        case .object(let members):
            members.flatMap { name, value in
                secretMembers.contains(name) ? value.text.map { [$0] } ?? [] : secrets(value)
            }
        case .array(let elements): elements.flatMap(secrets)
        default: []
        }
    }
}
