import Foundation
import Testing

/// A released border never changes: the headers are held against the baselines of all released versions.
@Suite struct ABIBaselineTests {
    private let script = Repository.root.appending(path: "scripts/check-abi.sh").path

    @Test func theHeadersEqualTheNewestReleasedVersion() throws {
        let result = try run(script, [])
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.contains("abi: equal to version"))
    }

    @Test(arguments: [
        ("egress_types.h", "uint64_t length;", "uint32_t length;"),
        ("egress_host.h", "    int32_t status;", "    uint64_t extra; int32_t status;"),
        ("egress_provider.h", "    egp_verb EGP_NULLABLE probe;", ""),
        ("egress_host.h", "int64_t (*EGP_NULLABLE now_ns)", "int32_t (*EGP_NULLABLE now_ns)"),
    ])
    func aChangedHeaderIsFound(header: String, old: String, new: String) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "kegwt-abi-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let include = Repository.root.appending(path: "Sources/ProviderAPI/include")
        try FileManager.default.copyItem(at: include, to: folder)
        let file = folder.appending(path: header)
        let text = try String(contentsOf: file, encoding: .utf8)
        try #require(text.contains(old))
        try Data(text.replacing(old, with: new).utf8).write(to: file)
        let result = try run(script, [folder.path])
        #expect(result.status != 0)
        #expect(result.output.contains("the headers differ from released version 1.0"))
    }
}
