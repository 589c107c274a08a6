import FoundationEssentials
import JSONModel
import ProviderKit
import Synchronization

/// Holds bytes to the JSON Schemas of the border.
///
/// Each is compiled when it is first asked for: a case needs one or two, and has a process of its own.
enum SchemaCheck {
    private static let compiled = Mutex<[String: JSONSchema]>([:])

    /// - Throws: ``CheckError/failed(_:)`` with the first mistakes.
    static func require(_ json: Data, _ document: CapabilitySchemas.Document, _ what: String) throws {
        try require(value(json, what), try schema(document.rawValue, at: ""), what)
    }

    /// Holds the result of a verb to the schema of its capability, if the project has one.
    static func require(_ json: Data, resultOf verb: Verb, of capability: String, _ what: String) throws {
        try require(value(json, what), try schema(capability, at: "/verbs/\(verb.rawValue)/result"), what)
    }

    /// Whether a request is one that a host may send.
    static func fits(_ json: Data, requestOf verb: Verb, of capability: String) throws -> Bool {
        guard let value = try? JSONValue(json: json) else { return false }
        let schema = try schema(capability, at: "/verbs/\(verb.rawValue)/request")
        return schema?.mistakes(in: value, limit: 1).isEmpty ?? true
    }

    private static func value(_ json: Data, _ what: String) throws -> JSONValue {
        do {
            return try JSONValue(json: json)
        } catch {
            throw CheckError.failed("\(what) is no JSON: \(String(decoding: json.prefix(200), as: UTF8.self))")
        }
    }

    private static func require(_ value: JSONValue, _ schema: JSONSchema?, _ what: String) throws {
        guard let mistakes = schema?.mistakes(in: value, limit: 3), !mistakes.isEmpty else { return }
        throw CheckError.failed("\(what) breaks its schema: \(mistakes.map(\.description).joined(separator: "; "))")
    }

    private static func schema(_ name: String, at pointer: String) throws -> JSONSchema? {
        if let schema = compiled.withLock({ $0[name + pointer] }) { return schema }
        guard let text = CapabilitySchemas.text(of: name) else { return nil }
        let schema = try JSONSchema(compiling: JSONValue(json: text), at: pointer)
        compiled.withLock { $0[name + pointer] = schema }
        return schema
    }
}
