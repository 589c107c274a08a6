import FoundationEssentials
import ProviderAPI
import ProviderKit

/// What the entry answers to hosts of all versions and sizes.
enum NegotiationCases {
    private static let base = ["file-loads"]
    private static let known = UInt32(EGP_ABI_1_0)
    private static let bytes = MemoryLayout<egp_provider>.size

    static let all = [
        CheckCase(
            "negotiation-takes-highest-common",
            "The entry takes the highest version that host and plugin know, and fills in all that 1.0 asks for.",
            buildsOn: base
        ) { context in
            let file = try LoadedFile(path: context.pluginPath)
            var versions: [UInt32] = []
            for (minimum, maximum) in [(known, known), (1, known), (known, 0x7FFF_FFFF), (0, UInt32.max)] {
                context.step("calling the entry for versions \(hex(minimum)) to \(hex(maximum))")
                let (code, out) = try call(file, minimum, maximum)
                try require(code == egp_code(EGP_OK), "answers \(code) to \(hex(minimum))...\(hex(maximum))")
                try require(
                    (minimum...maximum).contains(out.abi_version),
                    "takes version \(hex(out.abi_version)) of \(hex(minimum))...\(hex(maximum))")
                if maximum == known { try checkFilled(out) }
                versions.append(out.abi_version)
            }
            try require(
                versions[0] == known && versions[1] == known && versions[2] == versions[3],
                "takes 0x7fffffff or what else the host ends with, whatever it knows: "
                    + versions.map(hex).joined(separator: ", "))
        },
        CheckCase(
            "negotiation-refuses-old-host",
            "A host that is too old gets EGP_HOST_TOO_OLD and the lowest version that would do.", buildsOn: base
        ) { context in
            context.step("calling the entry for version 0.1")
            let (code, out) = try call(try LoadedFile(path: context.pluginPath), 1, 1)
            try require(code == egp_code(EGP_HOST_TOO_OLD), "answers \(code); needed is EGP_HOST_TOO_OLD (8)")
            try require(
                out.abi_version > 1, "names \(hex(out.abi_version)) as its lowest version, which the host speaks")
        },
        CheckCase(
            "negotiation-refuses-new-host",
            "A host that is too new gets EGP_HOST_TOO_NEW and the highest version that would do.", buildsOn: base
        ) { context in
            let minimum: UInt32 = 0x7FFF_0000
            context.step("calling the entry for versions from \(hex(minimum)) on")
            let (code, out) = try call(try LoadedFile(path: context.pluginPath), minimum, .max)
            try require(code == egp_code(EGP_HOST_TOO_NEW), "answers \(code); needed is EGP_HOST_TOO_NEW (9)")
            try require(
                out.abi_version < minimum && out.abi_version >= known,
                "names \(hex(out.abi_version)) as its highest version")
        },
        CheckCase(
            "negotiation-respects-short-struct",
            "Nothing is written beyond out->size, and a struct without room for 1.0 gets EGP_INVALID.", buildsOn: base
        ) { context in
            let file = try LoadedFile(path: context.pluginPath)
            for size in stride(from: 8, to: bytes, by: 8) {
                // Memory goes on beyond what `size` admits: a plugin must not touch it. Then it ends there.
                for room in [bytes, size] {
                    context.step("calling the entry with out->size \(size) and \(room) bytes of memory")
                    let memory = try filled(room, size: UInt32(size))
                    let out = memory.pointer.assumingMemoryBound(to: egp_provider.self)
                    let code = file.entry(known, known, out)
                    try require(code == egp_code(EGP_INVALID), "answers \(code) to size \(size); needed is EGP_INVALID")
                    let beyond = memory.data.dropFirst(size)
                    try require(beyond.allSatisfy { $0 == 0xA5 }, "writes beyond a size of \(size)")
                }
            }
        },
        CheckCase(
            "negotiation-respects-long-struct",
            "A struct with room for more than the plugin knows is filled as far as out->size then says.", buildsOn: base
        ) { context in
            context.step("calling the entry with out->size 4096")
            let memory = try filled(4096, size: 4096)
            let out = memory.pointer.assumingMemoryBound(to: egp_provider.self)
            let code = try LoadedFile(path: context.pluginPath).entry(known, known, out)
            try require(code == egp_code(EGP_OK), "answers \(code)")
            let size = Int(out.pointee.size)
            try require((bytes...4096).contains(size), "sets size to \(size); 1.0 has \(bytes)")
            try require(memory.data.dropFirst(size).allSatisfy { $0 == 0xA5 }, "writes beyond the size \(size) it sets")
        },
        CheckCase(
            "negotiation-is-idempotent", "The entry gives the same answer however often it is called.", buildsOn: base
        ) { context in
            let file = try LoadedFile(path: context.pluginPath)
            context.step("calling the entry 100 times")
            let (_, first) = try call(file, known, known)
            let descriptor = first.descriptor.copied
            for _ in 0..<100 {
                let (code, next) = try call(file, known, known)
                try require(
                    code == egp_code(EGP_OK) && image(next) == image(first) && next.descriptor.copied == descriptor,
                    "gives another answer the second time")
            }
        },
    ]

    private static func call(_ file: LoadedFile, _ minimum: UInt32, _ maximum: UInt32) throws -> (
        egp_code, egp_provider
    ) {
        let memory = try GuardedMemory(count: bytes)
        let out = memory.pointer.assumingMemoryBound(to: egp_provider.self)
        out.initialize(to: egp_provider())
        out.pointee.size = UInt32(bytes)
        return (file.entry(minimum, maximum, out), out.pointee)
    }

    /// All 0xA5, but for the size.
    private static func filled(_ count: Int, size: UInt32) throws -> GuardedMemory {
        let memory = try GuardedMemory(Data(repeating: 0xA5, count: count))
        memory.pointer.storeBytes(of: size, as: UInt32.self)
        return memory
    }

    private static func checkFilled(_ out: egp_provider) throws {
        try require(out.magic == UInt32(EGP_MAGIC), "sets magic to \(hex(out.magic)); needed is EGP_MAGIC")
        try require(out.flags == 0, "sets flags to \(out.flags); needed is 0")
        try require(Int(out.size) == bytes, "sets size to \(out.size); 1.0 has \(bytes)")
        let missing = [
            out.create == nil ? "create" : nil, out.destroy == nil ? "destroy" : nil,
            out.capability == nil ? "capability" : nil, out.cancel == nil ? "cancel" : nil,
        ].compactMap { $0 }
        try require(missing.isEmpty, "leaves NULL what is not optional: \(missing.joined(separator: ", "))")
    }

    private static func image(_ provider: egp_provider) -> Data { withUnsafeBytes(of: provider) { Data($0) } }

    private static func hex(_ version: UInt32) -> String { "0x" + String(version, radix: 16) }
}
