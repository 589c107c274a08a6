import JSONModel
import ProviderKit
import Testing

@testable import CNIChainProvider

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

@Suite struct SettingsSchemaTests {
    @Test(arguments: [("{}", true), (#"{"mtu": 1}"#, false), ("[]", false), ("null", false)])
    func theSchemaAndTheParserAgree(json: String, isGood: Bool) throws {
        let text = Data(json.utf8)
        let schema = try JSONSchema(compiling: #require(CNIChainProvider.descriptor.configurationSchema))
        #expect(schema.mistakes(in: try JSONValue(json: text)).isEmpty == isGood)
        #expect(((try? CNIChainProvider.checkSettings(text)) != nil) == isGood)
    }
}
