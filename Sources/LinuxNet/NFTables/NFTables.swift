import CLinuxShim
import CNFTables
import Glibc
import Synchronization

/// Packet filter rulesets through libnftables, in the calling thread's network namespace: call it inside
/// `NetworkNamespace.run`. Each call uses a context of its own and is one transaction: all of the text or nothing.
public enum NFTables {
    /// Address families of tables.
    public enum Family: String, Sendable {
        case ip, ip6, inet, arp, bridge, netdev
    }

    /// libnftables keeps some parser state per process; one call at a time.
    private static let turn = Mutex(())

    /// Applies commands in nft's own syntax, such as the contents of a ruleset file.
    ///
    /// - Returns: What the commands print, if they list something.
    /// - Throws: `refused` with nft's message; nothing was applied.
    @discardableResult
    public static func run(_ commands: String) throws -> String {
        try execute(commands, json: false)
    }

    /// Applies commands in libnftables' JSON form, or answers text commands in it (libnftables-json(5)).
    @discardableResult
    public static func runJSON(_ commands: String) throws -> String {
        try execute(commands, json: true)
    }

    /// One table in libnftables' JSON form; nil if there is none.
    public static func listTable(_ family: Family, _ name: String) throws -> String? {
        try validate(name)
        return try absentAsNil { try execute("list table \(family.rawValue) \(name)", json: true) }
    }

    /// Removes a table.
    ///
    /// - Returns: Whether there was one.
    @discardableResult
    public static func ensureNoTable(_ family: Family, _ name: String) throws -> Bool {
        try validate(name)
        return try absentAsNil { try execute("delete table \(family.rawValue) \(name)", json: false) } != nil
    }

    private static func validate(_ name: String) throws {
        let isPlain = name.utf8.allSatisfy {
            (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 95 || $0 == 45
        }
        guard isPlain, let first = name.utf8.first, first > 57 else {
            throw LinuxNetError.invalid(
                "nftables table", value: name, allowed: "a letter, then letters, digits, \"_\" and \"-\"")
        }
    }

    private static func absentAsNil(_ body: () throws -> String) throws -> String? {
        do {
            return try body()
        } catch let error as LinuxNetError where error.cause?.contains("No such file or directory") == true {
            return nil
        }
    }

    private static func execute(_ commands: String, json: Bool) throws -> String {
        // libnftables ends the process when it cannot open its socket: see first whether one can be had.
        _ = try NetlinkSocket(.netfilter)
        // From a file, not from a buffer: of a buffer libnftables' errors always quote the first line.
        let file = try memoryFile(holding: commands)
        defer { close(file) }
        let path = "/proc/self/fd/\(file)"
        return try turn.withLock { _ in
            guard let context = nft_ctx_new(UInt32(NFT_CTX_DEFAULT)) else {
                throw LinuxNetError.system("make an nftables context", errorNumber: ENOMEM)
            }
            defer { nft_ctx_free(context) }
            nft_ctx_output_set_flags(context, outputFlags(json: json))
            guard nft_ctx_buffer_output(context) == 0, nft_ctx_buffer_error(context) == 0 else {
                throw LinuxNetError.system("buffer nftables output", errorNumber: ENOMEM)
            }
            guard nft_run_cmd_from_filename(context, path) == 0 else {
                throw failure(text(nft_ctx_get_error_buffer(context)), path: path)
            }
            return text(nft_ctx_get_output_buffer(context))
        }
    }

    private static func memoryFile(holding text: String) throws -> Int32 {
        let file = shim_memory_file("nftables")
        guard file >= 0 else { throw LinuxNetError.system("make a file in memory", errorNumber: errno) }
        // nft wants its last command ended by a line break.
        let bytes = Array(text.utf8) + [UInt8(ascii: "\n")]
        guard write(file, bytes, bytes.count) == bytes.count, lseek(file, 0, SEEK_SET) == 0 else {
            let failure = errno
            close(file)
            throw LinuxNetError.system("write a file in memory", errorNumber: failure)
        }
        return file
    }

    private static func outputFlags(json: Bool) -> UInt32 {
        let numeric = NFT_CTX_OUTPUT_NUMERIC_PROTO | NFT_CTX_OUTPUT_NUMERIC_PRIO
        return UInt32(json ? numeric | NFT_CTX_OUTPUT_JSON : numeric)
    }

    private static func text(_ buffer: UnsafePointer<CChar>?) -> String {
        buffer.map { String(cString: $0) } ?? ""
    }

    /// nft prints "FILE:LINE:COLUMNS: Error: ...", then the offending line and a marker below it: one line of ours.
    private static func failure(_ output: String, path: String) -> LinuxNetError {
        let lines = output.split(separator: "\n")
            .filter { !$0.allSatisfy { $0 == " " || $0 == "^" || $0 == "~" } }
            .map { $0.hasPrefix(path + ":") ? "line " + $0.dropFirst(path.count + 1) : String($0) }
        let isPermission = output.contains("Operation not permitted")
        return LinuxNetError(
            code: isPermission ? .notPermitted : .refused, message: "nftables refused the ruleset",
            cause: lines.isEmpty ? nil : lines.joined(separator: " | "),
            advice: isPermission ? "run as root (CAP_NET_ADMIN)" : "nothing was applied; correct the named command")
    }
}
