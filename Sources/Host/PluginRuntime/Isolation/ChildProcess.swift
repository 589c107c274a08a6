import CLinuxShim
import FoundationEssentials
import Glibc

/// A child of the host that one plugin runs in, and the host's end of the socket pair to it.
struct ChildProcess: Sendable {
    /// The child's end is this descriptor in the child.
    static let childDescriptor: CInt = 3

    let identifier: pid_t
    /// Owned by who takes the value.
    let socket: CInt

    /// Starts `program` with the hidden command for plugin processes.
    ///
    /// - Throws: ``HostError`` with code ``HostError/Code/unavailable``.
    init(program: String) throws {
        var pair: [CInt] = [-1, -1]
        guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
            throw Self.failure("make a socket pair", errno)
        }
        defer { Glibc.close(pair[1]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        // What a plugin prints against its contract lands where the host's own last words go.
        posix_spawn_file_actions_adddup2(&actions, 2, 1)
        posix_spawn_file_actions_adddup2(&actions, pair[1], Self.childDescriptor)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own: a terminal's interrupt reaches the host, which ends its children in order.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        posix_spawnattr_setpgroup(&attributes, 0)
        var child = pid_t()
        // Without the runtime's backtracer the end of a trapped process is seen in milliseconds.
        var environment = ProcessInfo.processInfo.environment
        environment["SWIFT_BACKTRACE"] = "enable=no"
        let code = Self.withCStrings([program, "plugin-process"]) { arguments in
            Self.withCStrings(environment.map { "\($0.key)=\($0.value)" }) { environment in
                posix_spawn(&child, program, &actions, &attributes, arguments, environment)
            }
        }
        guard code == 0 else {
            Glibc.close(pair[0])
            throw Self.failure("start \(program)", code)
        }
        identifier = child
        socket = pair[0]
    }

    /// The `egress-host` executable: this program, or the one beside it.
    ///
    /// - Throws: ``HostError`` that names the file that is not there.
    static func hostProgram() throws -> String {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        guard !own.hasSuffix("/egress-host") else { return "/proc/self/exe" }
        let beside = URL(filePath: own).deletingLastPathComponent().appending(path: "egress-host").path
        guard access(beside, X_OK) == 0 else {
            throw HostError(.plugin, "isolation: process needs \(beside), which cannot be run")
        }
        return beside
    }

    /// Ends the process at once; harmless if it has ended.
    func kill() { _ = Glibc.kill(identifier, SIGKILL) }

    /// Waits for the end and says in words what it was. Blocks; to be called once, on a thread that may.
    func awaitEnd() -> String {
        var status: CInt = 0
        while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        if signal == 0 { return "exit status \((status >> 8) & 0xFF)" }
        return "signal \(signal) (\(String(cString: strsignal(signal))))"
    }

    /// Resident memory in bytes; 0 if the process is gone (proc(5), statm).
    var residentBytes: Int {
        guard let text = try? String(contentsOf: URL(filePath: "/proc/\(identifier)/statm"), encoding: .utf8) else {
            return 0
        }
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(CInt(_SC_PAGESIZE)))
    }

    private static func failure(_ what: String, _ number: CInt) -> HostError {
        HostError(.unavailable, "plugin process: cannot \(what): \(String(cString: strerror(number)))")
    }

    /// Lends a NULL-terminated array of C strings.
    private static func withCStrings<R>(
        _ texts: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
    ) -> R {
        let pointers = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: texts.count + 1)
        for (index, text) in texts.enumerated() { (pointers + index).initialize(to: strdup(text)) }
        (pointers + texts.count).initialize(to: nil)
        defer {
            for index in texts.indices { free(pointers[index]) }
            pointers.deallocate()
        }
        return body(pointers)
    }
}
