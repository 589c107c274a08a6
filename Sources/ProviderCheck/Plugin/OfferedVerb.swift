import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit

/// A verb that an instance offers.
struct OfferedVerb: Sendable {
    let capability: String
    let name: Verb
    let function: egp_verb

    /// For messages.
    var what: String { "\(name.rawValue) of \(capability)" }
}

extension LiveInstance {
    /// The verbs of one capability, in the order of the header.
    func verbs(of capability: String) throws(CheckError) -> [OfferedVerb] {
        let table = try self.capability(capability)
        let rows: [(Verb, egp_verb?)] = [
            (.ensure, table.ensure), (.remove, table.remove), (.check, table.check), (.prune, table.prune),
            (.status, table.status),
        ]
        return rows.compactMap { name, function in
            function.map { OfferedVerb(capability: capability, name: name, function: $0) }
        }
    }

    /// The verb, if it is offered.
    func verb(_ name: Verb, of capability: String) throws(CheckError) -> OfferedVerb? {
        try verbs(of: capability).first { $0.name == name }
    }

    /// All verbs of all capabilities that the descriptor lists.
    func allVerbs(_ loaded: LoadedProvider) throws(CheckError) -> [OfferedVerb] {
        var all: [OfferedVerb] = []
        for capability in try loaded.capabilities() { all += try verbs(of: capability) }
        return all
    }
}

/// The texts of requests.
enum RequestText {
    /// The same for every verb: it asks for nothing.
    static let empty = Data(#"{"items": []}"#.utf8)

    static func batch(_ items: [JSONValue], _ others: [String: JSONValue] = [:]) -> Data {
        var members = others
        members["items"] = .array(items)
        return (try? JSONValue.object(members).json()) ?? empty
    }
}
