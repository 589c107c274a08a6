import JSONModel
import ProviderAPI

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The JSON Schemas of the border, as they are in `Sources/ProviderAPI/schemas` and compiled into this program.
///
/// Compiled at first use, once, and then shared by all threads.
public enum CapabilitySchemas {
    /// Which half of a verb's exchange.
    public enum Direction: String, Sendable, CaseIterable {
        case request, result
    }

    /// A format that is not a capability's.
    public enum Document: String, Sendable, CaseIterable {
        case providerDescriptor = "provider-descriptor"
        case providerManifest = "provider-manifest"
        case validationReport = "validation-report"
        case probeResult = "probe-result"
    }

    /// The schema of a verb's request.
    ///
    /// - Parameter capability: identifier with revision, for example `load-balancer/1`.
    /// - Returns: nil if `capability` is not one of this project's; a plugin's own capability has no schema here.
    public static func request(_ capability: String, _ verb: Verb) -> JSONSchema? {
        verbs[Key(capability: capability, verb: verb, direction: .request)]
    }

    /// The schema of a verb's result; nil as for ``request(_:_:)``.
    public static func result(_ capability: String, _ verb: Verb) -> JSONSchema? {
        verbs[Key(capability: capability, verb: verb, direction: .result)]
    }

    /// The schema of another format of the border.
    ///
    /// - Returns: nil only if this build's own document is damaged, which ``mistakesInOwnDocuments()`` tells.
    public static func document(_ document: Document) -> JSONSchema? {
        documents[document]
    }

    /// Identifiers of the capabilities that have schemas, sorted.
    public static var capabilities: [String] { capabilityNames }

    /// The text of a document that was compiled in: an identifier of a capability or the name of a ``Document``; nil if
    /// there is none of that name.
    public static func text(of name: String) -> Data? {
        var name = name
        return name.withUTF8 { characters in
            let bytes = egp_schema_document(
                egp_bytes(data: characters.baseAddress, length: UInt64(characters.count)))
            guard let start = bytes.data, bytes.length > 0 else { return nil }
            return Data(bytes: start, count: Int(bytes.length))
        }
    }

    /// What prevents this build's own documents from being used, one line each; empty in every build that passes the
    /// tests.
    public static func mistakesInOwnDocuments() -> [String] { compiled.mistakes }

    // MARK: - Compilation

    private struct Key: Hashable {
        var capability: String
        var verb: Verb
        var direction: Direction
    }

    private struct Compiled {
        var verbs: [Key: JSONSchema] = [:]
        var documents: [Document: JSONSchema] = [:]
        var mistakes: [String] = []
    }

    private static let capabilityNames: [String] = (0..<egp_schema_count()).compactMap { index in
        let bytes = egp_schema_name(index)
        let name = String(decoding: UnsafeBufferPointer(start: bytes.data, count: Int(bytes.length)), as: UTF8.self)
        return Document(rawValue: name) == nil ? name : nil
    }.sorted()

    private static var verbs: [Key: JSONSchema] { compiled.verbs }
    private static var documents: [Document: JSONSchema] { compiled.documents }

    private static let compiled: Compiled = {
        var compiled = Compiled()
        for capability in capabilityNames {
            compile(capability, &compiled) { json, compiled in
                for verb in Verb.allCases {
                    for direction in Direction.allCases {
                        compiled.verbs[Key(capability: capability, verb: verb, direction: direction)] =
                            try JSONSchema(compiling: json, at: "/verbs/\(verb.rawValue)/\(direction.rawValue)")
                    }
                }
            }
        }
        for document in Document.allCases {
            compile(document.rawValue, &compiled) { json, compiled in
                compiled.documents[document] = try JSONSchema(compiling: json)
            }
        }
        return compiled
    }()

    private static func compile(
        _ name: String, _ compiled: inout Compiled, _ body: (JSONValue, inout Compiled) throws -> Void
    ) {
        do {
            guard let text = text(of: name) else {
                compiled.mistakes.append("\(name): is not compiled in")
                return
            }
            try body(try JSONValue(json: text), &compiled)
        } catch {
            compiled.mistakes.append("\(name): \(error)")
        }
    }
}
