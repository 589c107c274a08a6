/// The settings of a provider: read the same way whatever they are.
enum SettingsTemplate {
    /// - Parameters:
    ///   - members: declarations of stored properties, a line each.
    ///   - properties: members of the schema's `properties`.
    ///   - required: names of members that must be there.
    static func source(members: String, properties: String, required: [String] = []) -> String {
        let needed = required.map { "\"\($0)\"" }.joined(separator: ", ")
        return #"""
            /// `config` of the plugin's entry in `host.yaml`.
            struct Settings: Decodable {
                /// The host shows it to who writes the file; unknown settings are mistakes.
                static let schema: JSONValue = [
                    "type": "object", "additionalProperties": false,\#(needed.isEmpty ? "" : " \"required\": [\(needed)],")
                    "properties": [
            \#(indented(properties, by: 12))
                    ],
                ]

            \#(indented(members, by: 4))

                /// - Throws: `invalid` that names the setting, its value and what is allowed.
                init(json: Data) throws {
                    do {
                        let schema = try JSONSchema(compiling: Self.schema)
                        if let mistake = schema.mistakes(in: try JSONValue(json: json), limit: 1).first {
                            throw ProviderError(.invalid, "config\(mistake.path): \(mistake.message)")
                        }
                        self = try JSONDecoder().decode(Self.self, from: json)
                    } catch let error as DecodingError {
                        throw ProviderError(.invalid, "config: \(error.oneLine)")
                    }
                }
            }

            """#
    }

    private static func indented(_ text: String, by count: Int) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.isEmpty ? "" : String(repeating: " ", count: count) + $0 }.joined(separator: "\n")
    }
}
