import Foundation
import Testing

/// The contract's headers are for every C and C++ compiler a plugin author may use.
@Suite struct HeaderTests {
    @Test(arguments: ["c11", "c17", "c2x", "c++17"])
    func headersCompileAlone(standard: String) throws {
        let include = Repository.root.appending(path: "Sources/ProviderAPI/include")
        let headers = Repository.files(below: include, withExtension: "h")
        #expect(headers.count >= 8)
        for header in headers {
            let language = standard.hasPrefix("c++") ? "c++" : "c"
            let result = try run(
                "clang",
                [
                    "-x", language, "-std=\(standard)", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
                    header.path,
                ])
            #expect(result.status == 0, "\(header.lastPathComponent) as \(standard): \(result.output)")
        }
    }

    /// Who reads a capability's header finds its schema, and each such schema has a header.
    @Test func capabilityHeadersNameTheirSchemas() throws {
        let sources = Repository.root.appending(path: "Sources/ProviderAPI")
        var named: Set<String> = []
        for header in Repository.files(below: sources.appending(path: "include"), withExtension: "h") {
            let text = try String(contentsOf: header, encoding: .utf8)
            guard let definition = text.firstMatch(of: /#define EGP_CAPABILITY_\w+ "(\S+)\/(\d+)"/) else { continue }
            let file = "schemas/\(definition.1)-\(definition.2).schema.json"
            #expect(text.contains(file), "\(header.lastPathComponent) does not name \(file)")
            #expect(FileManager.default.fileExists(atPath: sources.appending(path: file).path), "\(file)")
            named.insert(String(file.dropFirst("schemas/".count)))
        }
        let present = Repository.files(below: sources.appending(path: "schemas"), withExtension: "json")
            .map(\.lastPathComponent).filter { $0.contains(/-\d+\.schema\.json$/) }
        #expect(named == Set(present))
    }
}
