import AzureARM
import AzureLBProvider
import AzureTestSupport
import JSONModel
import ProviderKit
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

@Suite struct SettingsSchemaTests {
    private static func schema() throws -> JSONSchema {
        try JSONSchema(compiling: #require(AzureLBProvider.descriptor.configurationSchema))
    }

    /// What a file or the fields hold, no schema can say; this is what it does say.
    @Test(arguments: [
        "{}", "[]", "null", #"{"cloudConfig": 1}"#, #"{"cloudConfig": null}"#, #"{"cloudConfig": ["/a"]}"#,
        #"{"cloudConfig": "/nonexistent", "colour": "red"}"#, #"{"CloudConfig": "/nonexistent"}"#,
    ])
    func whatTheSchemaRefusesTheParserRefuses(json: String) throws {
        let text = Data(json.utf8)
        #expect(try !Self.schema().mistakes(in: JSONValue(json: text)).isEmpty)
        #expect(throws: ProviderError.self) { try CloudConfiguration(pluginConfiguration: text) }
    }

    @Test func whatTheParserTakesTheSchemaTakes() throws {
        let inline = try pluginConfiguration(endpoint: "http://127.0.0.1:1")
        _ = try CloudConfiguration(pluginConfiguration: inline)
        #expect(try Self.schema().mistakes(in: JSONValue(json: inline)) == [])
        #expect(try Self.schema().mistakes(in: ["cloudConfig": "/etc/kubernetes/azure.json"]) == [])
    }

    @Test func anUnknownFieldIsNamed() throws {
        let error = #expect(throws: ProviderError.self) {
            try CloudConfiguration(pluginConfiguration: Data(#"{"cloudConfig": {}, "colour": 1}"#.utf8))
        }
        #expect(error?.message == "config.colour: no such field; allowed: cloudConfig, pruneLimit")
    }
}
