import FoundationEssentials
import JSONModel
import ProviderKit

/// Holds requests and results against the border's JSON Schemas, and results against their requests (`checking: full`).
struct ContractChecker: Sendable {
    private struct Results: Decodable {
        struct Item: Decodable { var id: String }
        var items: [Item]
    }

    /// H-17: what goes out is as the schema says. A capability without a schema of ours is let through.
    ///
    /// - Throws: ``ProviderError`` that names the member; the plugin is not called.
    func checkRequest(_ operation: PluginOperation, _ request: Data, plugin: String) throws {
        guard case .verb(let capability, let verb) = operation,
            let schema = CapabilitySchemas.request(capability, verb),
            let problem = Self.problem(request, schema)
        else { return }
        throw ProviderError(.invalid, "plugin \(plugin): \(operation): request\(problem)")
    }

    /// P-14: what comes back is as the schema says, with exactly one result per requested id.
    ///
    /// - Parameter items: the ids of the request.
    /// - Returns: the first thing that is wrong, nil if nothing is.
    func problem(_ operation: PluginOperation, _ answer: Data, items: [String]) -> String? {
        switch operation {
        case .probe:
            return CapabilitySchemas.document(.probeResult).flatMap { Self.problem(answer, $0) }
        case .verb(let capability, let verb):
            if let schema = CapabilitySchemas.result(capability, verb), let problem = Self.problem(answer, schema) {
                return problem
            }
            return Self.mismatch(verb, answer, items)
        }
    }

    private static func problem(_ text: Data, _ schema: JSONSchema) -> String? {
        let value: JSONValue
        do {
            value = try JSONValue(json: text)
        } catch {
            return "is not JSON: \(error)"
        }
        return schema.mistakes(in: value, limit: 1).first.map { "\($0)" }
    }

    private static func mismatch(_ verb: Verb, _ answer: Data, _ items: [String]) -> String? {
        // prune answers for what it removed, and an empty status asks for all.
        if verb == .prune || (verb == .status && items.isEmpty) { return nil }
        guard let results = try? JSONDecoder().decode(Results.self, from: answer) else { return "lacks items with ids" }
        let expected = Set(items)
        var seen = Set<String>()
        for item in results.items {
            guard expected.contains(item.id) else { return "item \"\(item.id)\" was not asked for" }
            guard seen.insert(item.id).inserted else { return "item \"\(item.id)\" occurs twice" }
        }
        return items.first { !seen.contains($0) }.map { "item \"\($0)\" is missing" }
    }
}
