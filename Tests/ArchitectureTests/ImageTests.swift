import Foundation
import Testing

/// What the built files pull in and give away, read from their ELF headers.
@Suite struct ImageTests {
    /// DT_NEEDED entries of a shared object or program.
    static func neededLibraries(_ file: URL) throws -> [String] {
        let result = try run("readelf", ["--dynamic", "--wide", file.path])
        try #require(result.status == 0, "\(result.output)")
        return result.output.split(separator: "\n").filter { $0.contains("(NEEDED)") }.compactMap { line in
            line.split(separator: "[").last?.split(separator: "]").first.map(String.init)
        }
    }

    static func symbols(_ file: URL, _ options: [String]) throws -> [String] {
        let result = try run("nm", options + [file.path])
        try #require(result.status == 0, "\(result.output.prefix(500))")
        return result.output.split(separator: "\n").compactMap { $0.split(separator: " ").last.map(String.init) }
    }

    static func isHeavyFoundation(_ library: String) -> Bool {
        ["libFoundation", "libFoundationInternationalization", "lib_FoundationICU", "libFoundationNetworking"]
            .contains(library.replacingOccurrences(of: ".so", with: ""))
    }

    @Test(arguments: Repository.plugins)
    func pluginsNeedNoFullFoundation(name: String) throws {
        let needed = try Self.neededLibraries(Repository.plugin(name))
        #expect(needed.contains("libswiftCore.so"))
        #expect(needed.filter(Self.isHeavyFoundation).isEmpty)
    }

    @Test(arguments: Repository.plugins)
    func pluginsExportExactlyOneSymbol(name: String) throws {
        let exported = try Self.symbols(Repository.plugin(name), ["--dynamic", "--defined-only", "--extern-only"])
        #expect(exported == ["egp_provider_entry"])
    }

    @Test(arguments: Repository.plugins)
    func pluginsContainNoNIO(name: String) throws {
        let symbols = try Self.symbols(Repository.plugin(name), [])
        #expect(symbols.count > 100)
        #expect(symbols.filter { $0.contains("7NIOCore") }.isEmpty)
    }

    @Test func theCNIExecutableIsStaticAndLean() throws {
        let program = Repository.products.appending(path: "kube-egress-cni")
        #expect(try Self.neededLibraries(program).isEmpty)
        let symbols = try Self.symbols(program, [])
        #expect(symbols.count > 100)
        for forbidden in ["7NIOCore", "28FoundationInternationalization", "10Foundation4"] {
            #expect(symbols.filter { $0.contains(forbidden) }.isEmpty, "\(forbidden) is linked in")
        }
        #expect(symbols.filter { $0.hasPrefix("u_charType") || $0.contains("icu") && $0.contains("swift") }.isEmpty)
    }
}
