import FoundationEssentials
import ProviderAPI
import ProviderKit

/// What `capability` answers.
enum CapabilityCases {
    private static let base = ["create-succeeds"]
    private static let matched = ["capabilities-match-descriptor"]

    static let all = [
        CheckCase(
            "capabilities-match-descriptor",
            "Each capability of the descriptor has a table with ensure and remove, and no other of the project's has one.",
            buildsOn: base
        ) { context in
            let loaded = try context.load()
            let instance = try context.makeInstance(loaded)
            let listed = try loaded.capabilities()
            for identifier in listed {
                context.step("calling capability with \(identifier)")
                let table = try instance.capability(identifier)
                try require(table.flags == 0, "the table of \(identifier) has the flags \(table.flags); needed is 0")
                try require(
                    table.ensure != nil && table.remove != nil, "the table of \(identifier) lacks ensure or remove")
            }
            for identifier in CapabilitySchemas.capabilities where !listed.contains(identifier) {
                try require(
                    instance.rawCapability(Data(identifier.utf8)) == nil,
                    "offers \(identifier), which the descriptor does not list")
            }
            try instance.destroy()
        },
        CheckCase(
            "capability-unknown-is-null",
            "An identifier that nobody knows, or that is no text, gets NULL; only the given bytes are read.",
            buildsOn: matched
        ) { context in
            let loaded = try context.load()
            let instance = try context.makeInstance(loaded)
            let known = try loaded.capabilities()
            for identifier in strangers(known) {
                let memory = try GuardedMemory(identifier)
                let text = String(decoding: identifier.prefix(40), as: UTF8.self)
                context.step("calling capability with \"\(text)\" (\(identifier.count) bytes)")
                let table = instance.host.inside(Int32(EGP_THREAD_VERB)) {
                    loaded.provider.capability?(
                        instance.pointer,
                        egp_bytes(data: identifier.isEmpty ? nil : memory.bytes, length: UInt64(identifier.count)))
                        ?? nil
                }
                try require(table == nil, "gives a table for \"\(text)\" (\(identifier.count) bytes)")
            }
            try instance.destroy()
        },
        CheckCase(
            "capability-is-stable", "The same identifier gives an equal table each time, from any thread.",
            buildsOn: matched
        ) { context in
            let loaded = try context.load()
            let instance = try context.makeInstance(loaded)
            for identifier in try loaded.capabilities() {
                context.step("calling capability with \(identifier)")
                let first = try image(instance, identifier)
                for _ in 0..<50 {
                    try require(try image(instance, identifier) == first, "gives another table of \(identifier) later")
                }
                try Threads.run {
                    try require(
                        try image(instance, identifier) == first, "gives another table of \(identifier) to a thread")
                }
            }
            try instance.destroy()
        },
    ]

    private static func image(_ instance: LiveInstance, _ identifier: String) throws -> Data {
        let table = try instance.capability(identifier)
        return withUnsafeBytes(of: table) { Data($0) }
    }

    /// Identifiers that are near the known ones, and others.
    private static func strangers(_ known: [String]) -> [Data] {
        var texts = [
            "", "/", "x", "tunnel", "/1", "egress-provider-check.invalid/1", String(repeating: "a", count: 255),
        ]
        for identifier in known {
            let name = identifier.split(separator: "/")[0]
            texts += [
                "\(name)/999", "\(name)/0", "\(name)/", "\(name)", "\(identifier)0", "\(identifier)\0",
                " \(identifier)",
                identifier.uppercased(), String(identifier.dropLast()),
            ]
        }
        return texts.filter { !known.contains($0) }.map { Data($0.utf8) } + [
            Data([0xFF, 0xFE, 0x2F, 0x31]), Data([0]),
        ]
    }
}
