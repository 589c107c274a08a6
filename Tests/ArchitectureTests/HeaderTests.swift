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
}
