import Glibc
import LinuxNet
import Testing

@Suite("nftables", .enabled(if: isRoot, needsRoot))
struct NFTablesTests {
    @Test("a ruleset is applied whole, in the namespace only, and read back as JSON")
    func apply() async throws {
        let inside = try await TestNamespace("nft")
        try await inside.namespace.run {
            try NFTables.run(
                """
                table ip kegwt-ln {
                    chain prerouting {
                        type filter hook prerouting priority mangle
                        iifname "eth0" ct mark set 0x2222
                    }
                    map sources {
                        type mark : ipv4_addr
                        elements = { 6000 : 10.243.0.7 }
                    }
                }
                """)
        }
        #expect(try inside.shell("nft list table ip kegwt-ln").contains("ct mark set 0x00002222"))
        let json = try #require(try await inside.namespace.run { try NFTables.listTable(.ip, "kegwt-ln") })
        #expect(json.contains("\"nftables\"") && json.contains("\"10.243.0.7\""))
        #expect(try NFTables.listTable(.ip, "kegwt-ln") == nil)
        #expect(try await inside.namespace.run { try NFTables.ensureNoTable(.ip, "kegwt-ln") })
        #expect(try await inside.namespace.run { try NFTables.ensureNoTable(.ip, "kegwt-ln") } == false)
        #expect(try inside.shell("nft list ruleset").isEmpty)
    }

    @Test("one bad command leaves nothing of the rest, and the error quotes it")
    func atomic() async throws {
        let inside = try await TestNamespace("nft-bad")
        let error = await #expect(throws: LinuxNetError.self) {
            try await inside.namespace.run {
                try NFTables.run("add table ip good\nadd chain ip absent input\nadd rule ip good nowhere drop")
            }
        }
        #expect(error?.code == .refused)
        #expect(error?.cause?.contains("line 2:14-19: Error: No such file or directory") == true)
        #expect(error?.cause?.contains("add chain ip absent input") == true)
        #expect(error?.description.contains("\n") == false)
        #expect(try inside.shell("nft list ruleset").isEmpty)
        let syntax = await #expect(throws: LinuxNetError.self) {
            try await inside.namespace.run { try NFTables.run("add tabel ip x") }
        }
        #expect(syntax?.cause?.contains("syntax error") == true)
        #expect(throws: LinuxNetError.self) { try NFTables.listTable(.ip, "x; flush ruleset") }
    }

    @Test("JSON commands work, from many threads at once")
    func concurrent() async throws {
        let inside = try await TestNamespace("nft-many")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<20 {
                group.addTask {
                    try await inside.namespace.run {
                        let table = "{\"table\": {\"family\": \"ip\", \"name\": \"t\(number)\"}}"
                        try NFTables.runJSON("{\"nftables\": [{\"add\": \(table)}]}")
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try inside.shell("sh -c 'nft list tables | wc -l'") == "20\n")
    }
}
