import Glibc
import LinuxNet

/// A program to run, and where.
public struct ChildCommand: Sendable {
    /// Absolute path; no search.
    public var executable: String
    /// Without the program's own name.
    public var arguments: [String]
    /// The child's whole environment; nil hands on this process's.
    public var environment: [String: String]?
    /// Network namespace of the child; only that differs from this process.
    public var namespace: NetworkNamespace

    public init(
        _ executable: String, _ arguments: [String], environment: [String: String]? = nil,
        namespace: NetworkNamespace = .current
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.namespace = namespace
    }
}

/// How a process ended.
public enum ExitStatus: Sendable, Equatable, CustomStringConvertible {
    /// It ended itself, with a status of 0...255.
    case exited(Int32)
    /// A signal ended it.
    case signaled(Int32)

    /// - Parameter waitStatus: As waitpid(2) gives it.
    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7f
        self = signal == 0 ? .exited((waitStatus >> 8) & 0xff) : .signaled(signal)
    }

    public var isSuccess: Bool { self == .exited(0) }

    public var description: String {
        switch self {
        case .exited(let status): "exit status \(status)"
        case .signaled(let signal): "signal \(signal)"
        }
    }
}

/// What a finished program left.
public struct ChildOutput: Sendable {
    public var status: ExitStatus
    public var standardOutput: [UInt8]
    public var standardError: [UInt8]

    public var outputText: String { String(decoding: standardOutput, as: UTF8.self) }
    public var errorText: String { String(decoding: standardError, as: UTF8.self) }
}

/// Starts programs. A child is spawned by a thread that has entered the wanted namespace and inherits it.
public enum ChildProcess {
    /// POSIX_SPAWN_SETSID of glibc's spawn.h, which Swift does not show: the child leads a session of its own and so
    /// outlives the terminal.
    private static let newSessionFlag: Int16 = 0x80

    /// Runs a program to its end, in a process group of its own, and collects what it says.
    ///
    /// - Parameters:
    ///   - timeout: After this the group is killed.
    ///   - outputLimit: Bytes kept of each stream; the rest is read and dropped.
    /// - Throws: `processFailed` if it does not start, `timeout` if it had to be killed.
    public static func run(
        _ command: ChildCommand, input: [UInt8] = [], timeout: Duration = .seconds(30), outputLimit: Int = 1 << 20
    ) async throws -> ChildOutput {
        try await command.namespace.run {
            var conversation = try ChildConversation(input: input, outputLimit: outputLimit)
            let pid = try spawn(command, flags: Int16(POSIX_SPAWN_SETPGROUP)) { actions in
                posix_spawn_file_actions_adddup2(&actions, conversation.childInput, 0)
                posix_spawn_file_actions_adddup2(&actions, conversation.childOutput, 1)
                posix_spawn_file_actions_adddup2(&actions, conversation.childError, 2)
            }
            conversation.closeChildEnds()
            return try conversation.finish(pid, command: command, deadline: ContinuousClock().now + timeout)
        }
    }

    /// Starts a program that goes on by itself: a session of its own, no input, output appended to a file.
    ///
    /// - Returns: Its process id; `wait` must collect it.
    public static func start(_ command: ChildCommand, logFile: String) async throws -> Int32 {
        try await command.namespace.run {
            try spawn(command, flags: newSessionFlag) { actions in
                posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
                posix_spawn_file_actions_addopen(&actions, 1, logFile, O_WRONLY | O_CREAT | O_APPEND, 0o644)
                posix_spawn_file_actions_adddup2(&actions, 1, 2)
            }
        }
    }

    /// Waits for a child's end. Takes a thread for as long.
    public static func wait(for pid: Int32) async throws -> ExitStatus {
        try await NetworkNamespace.current.run {
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0 {
                guard errno == EINTR else {
                    throw LinuxNetError.system("wait for process \(pid)", errorNumber: errno)
                }
            }
            return ExitStatus(waitStatus: status)
        }
    }

    private static func spawn(
        _ command: ChildCommand, flags: Int16, _ prepare: (inout posix_spawn_file_actions_t) -> Void
    ) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        prepare(&actions)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        setSignals(&attributes)
        posix_spawnattr_setflags(
            &attributes, flags | Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))
        var pid: Int32 = 0
        let failure = withStrings([command.executable] + command.arguments) { arguments in
            guard let environment = command.environment else {
                return posix_spawn(&pid, command.executable, &actions, &attributes, arguments, environ)
            }
            return withStrings(environment.map { "\($0.key)=\($0.value)" }.sorted()) {
                posix_spawn(&pid, command.executable, &actions, &attributes, arguments, $0)
            }
        }
        guard failure == 0 else {
            throw LabError(
                code: .processFailed, message: "cannot start \(command.executable)",
                cause: String(cString: strerror(failure)), advice: "check that it is installed and executable")
        }
        return pid
    }

    /// The child starts with default signal handling and none blocked, whatever this process has set up for itself.
    private static func setSignals(_ attributes: inout posix_spawnattr_t) {
        var set = sigset_t()
        sigemptyset(&set)
        posix_spawnattr_setsigmask(&attributes, &set)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&set, signal) }
        posix_spawnattr_setsigdefault(&attributes, &set)
    }

    private static func withStrings<R>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R
    ) -> R {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        pointers.append(nil)
        defer { pointers.forEach { free($0) } }
        return body(pointers)
    }
}
