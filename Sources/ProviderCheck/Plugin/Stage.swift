import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit

/// What a result says of one item.
struct ItemAnswer: Sendable, Equatable {
    var id: String
    var code: String
    var json: JSONValue

    var observed: JSONValue? { json[member: "observed"] }
    var message: String { json[member: "message"]?.text ?? "" }

    /// For a reason of a failure.
    var summary: String { "item \(id) has the code \(code)" + (message.isEmpty ? "" : " (\(message.prefix(300)))") }
}

/// One capability of a live instance with the items of the `--config` file.
struct Stage {
    let instance: LiveInstance
    let capability: String
    let items: [JSONValue]
    let invalidItems: [JSONValue]
    /// The members that `prune` needs beside `items`; nil: it is not to be tried.
    let pruneScopes: [String: JSONValue]?
    let callTime: Duration

    /// Members of an item that `remove` and `status` take; nil: the capability has no schema here, and they get all.
    private let referenceMembers: Set<String>?

    init(_ instance: LiveInstance, _ capability: String, _ settings: CheckSettings) {
        self.instance = instance
        self.capability = capability
        let given = settings.capabilities[capability] ?? CheckSettings.CapabilityItems()
        items = given.items
        invalidItems = given.invalidItems
        pruneScopes = given.prune
        callTime = .seconds(settings.callSeconds)
        let schema = CapabilitySchemas.text(of: capability).flatMap { try? JSONValue(json: $0) }
        let members = schema?[member: "$defs"]?[member: "reference"]?[member: "properties"]?.members
        referenceMembers = members.map { Set($0.keys) }
    }

    /// The item as `remove`, `prune` and `status` name it.
    func reference(_ item: JSONValue) -> JSONValue {
        guard let referenceMembers, let members = item.members else { return item }
        return .object(members.filter { referenceMembers.contains($0.key) })
    }

    /// The form of an item that a verb takes.
    func form(_ item: JSONValue, for verb: Verb) -> JSONValue {
        verb == .ensure || verb == .check ? item : reference(item)
    }

    func offers(_ verb: Verb) throws -> Bool {
        try instance.verb(verb, of: capability) != nil
    }

    /// Calls a verb with items and waits.
    func answer(_ verb: Verb, _ items: [JSONValue], _ others: [String: JSONValue] = [:]) throws -> Answer {
        guard let offered = try instance.verb(verb, of: capability) else {
            throw CheckError.skipped("offers no verb \(verb.rawValue)")
        }
        let request = RequestText.batch(items.map { form($0, for: verb) }, others)
        return try instance.call(
            offered.function, offered.what, request, items: items.compactMap(\.identifier),
            options: LiveInstance.CallOptions(deadline: callTime))
    }

    /// Calls a verb with items and reads its result, which must be one.
    func call(_ verb: Verb, _ items: [JSONValue], _ others: [String: JSONValue] = [:]) throws -> [ItemAnswer] {
        try Self.items(of: answer(verb, items, others))
    }

    /// Calls a verb and wants every item to be ok.
    @discardableResult
    func succeed(_ verb: Verb, _ items: [JSONValue]) throws -> [ItemAnswer] {
        let answers = try call(verb, items)
        for answer in answers where answer.code != "ok" {
            throw CheckError.failed("\(verb.rawValue) of \(capability): \(answer.summary)")
        }
        return answers.sorted { $0.id < $1.id }
    }

    /// The items of a result.
    static func items(of answer: Answer) throws -> [ItemAnswer] {
        guard answer.isOK, let result = answer.completion?.result else {
            throw CheckError.failed("\(answer.what) ended with \(answer.summary); needed is EGP_OK")
        }
        guard let json = try? JSONValue(json: result), case .array(let list)? = json[member: "items"] else {
            throw CheckError.failed("the result of \(answer.what) is no JSON object with a list items")
        }
        return try list.map { item in
            guard let id = item.identifier, let code = item[member: "code"]?.text else {
                throw CheckError.failed("an item of the result of \(answer.what) has no id or no code")
            }
            return ItemAnswer(id: id, code: code, json: item)
        }
    }

    /// Removes all items, whatever comes of it: before a case, what another one left; after it, its own.
    func clear() {
        _ = try? answer(.remove, items + invalidItems)
    }
}

extension CaseContext {
    /// Runs `body` for each capability that has items, on an instance of its own, with no item in the world before and
    /// after.
    func eachStage(_ body: (Stage) throws -> Void) throws {
        let loaded = try load()
        let capabilities = try loaded.capabilities().filter { settings.capabilities[$0]?.items.isEmpty == false }
        guard !capabilities.isEmpty else {
            throw CheckError.skipped(
                "the --config file gives no items of \(try loaded.capabilities().joined(separator: ", "))")
        }
        var skipped: [String] = []
        for capability in capabilities {
            let instance = try makeInstance(loaded)
            let stage = Stage(instance, capability, settings)
            step("removing the items of \(capability)")
            stage.clear()
            step("calling verbs of \(capability)")
            do {
                try body(stage)
            } catch CheckError.skipped(let reason) {
                skipped.append("\(capability): \(reason)")
            } catch {
                stage.clear()
                throw error
            }
            step("removing the items of \(capability)")
            stage.clear()
            step("calling destroy")
            try instance.destroy()
        }
        if skipped.count == capabilities.count { throw CheckError.skipped(skipped.joined(separator: "; ")) }
    }

    /// Runs `body` on a live instance and ends it.
    func onInstance(_ body: (LiveInstance, [OfferedVerb]) throws -> Void) throws {
        let loaded = try load()
        let instance = try makeInstance(loaded)
        let verbs = try instance.allVerbs(loaded)
        step("calling verbs")
        try body(instance, verbs)
        step("calling destroy")
        try instance.destroy()
    }
}
