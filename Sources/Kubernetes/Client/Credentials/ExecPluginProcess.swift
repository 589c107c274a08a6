import FoundationEssentials
import Glibc

/// Runs a credential plugin to its end. Blocks its thread; the program and what it started are one process group, which
/// does not outlive the run.
enum ExecPluginProcess {
    /// How much of what the program says on standard error is kept for the error, in bytes.
    static let maximumErrorBytes = 4096
    /// How often the end of the process, the deadline and the stop flag are looked at, in milliseconds.
    private static let pollMilliseconds: Int32 = 50

    /// - Returns: what the program wrote to standard output.
    /// - Throws: ``KubernetesError``: `configuration` if it cannot be started, `unauthorized` if it failed, `timeout`.
    static func run(_ plugin: ExecCredentialPlugin, isStopped: StopFlag) throws -> [UInt8] {
        var output = try Channel(limit: plugin.maximumOutputBytes)
        defer { output.close() }
        var errors = try Channel(limit: maximumErrorBytes)
        defer { errors.close() }
        let child = try start(plugin, output: output.writeEnd, errors: errors.writeEnd)
        output.closeWriteEnd()
        errors.closeWriteEnd()
        let deadline = ContinuousClock.now + plugin.timeLimit
        var isOverdue = false
        while !hasEnded(child), !isOverdue, !isStopped.isRaised, output.total <= plugin.maximumOutputBytes {
            pollBoth(&output, &errors)
            isOverdue = ContinuousClock.now >= deadline
        }
        let status = collect(child)
        // What it wrote before its end is still in the pipes.
        output.drain()
        errors.drain()
        if isStopped.isRaised { throw plugin.problem("was ended because the client is shut down") }
        if isOverdue {
            throw KubernetesError(
                .timeout,
                "credential plugin \"\(plugin.command)\" did not end in \(plugin.timeLimit)\(said(errors))")
        }
        guard output.total <= plugin.maximumOutputBytes else {
            throw plugin.problem("wrote more than the allowed \(plugin.maximumOutputBytes) bytes")
        }
        guard status == 0 else {
            throw KubernetesError(
                .unauthorized,
                "credential plugin \"\(plugin.command)\" ended with \(describe(status))\(said(errors))")
        }
        return output.bytes
    }

    private static func said(_ errors: Channel) -> String {
        let text = String(decoding: errors.bytes, as: UTF8.self).trimmingWhitespace()
        return text.isEmpty ? "" : ": " + String(text.map { $0.isNewline ? " " : $0 })
    }

    private static func describe(_ status: Int32) -> String {
        let signal = status & 0x7F
        return signal == 0 ? "exit status \((status >> 8) & 0xFF)" : "signal \(signal)"
    }

    /// Whether the child has ended; it is not collected, so that its number stays its own.
    private static func hasEnded(_ child: pid_t) -> Bool {
        var information = siginfo_t()
        let result = waitid(P_PID, id_t(child), &information, WEXITED | WNOHANG | WNOWAIT)
        return result != 0 ? errno != EINTR : information.si_signo == SIGCHLD
    }

    /// Kills the child, if it still runs, and what it left running; gives its wait status.
    private static func collect(_ child: pid_t) -> Int32 {
        var status: Int32 = 0
        _ = kill(-child, SIGKILL)
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        return status
    }

    private static func pollBoth(_ output: inout Channel, _ errors: inout Channel) {
        // A descriptor of -1 is one that poll(2) ignores.
        var descriptors = [
            pollfd(fd: output.isAtEnd ? -1 : output.readEnd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: errors.isAtEnd ? -1 : errors.readEnd, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&descriptors, 2, pollMilliseconds) > 0 else { return }
        if descriptors[0].revents != 0 { output.readOnce() }
        if descriptors[1].revents != 0 { errors.readOnce() }
    }

    private static func start(_ plugin: ExecCredentialPlugin, output: Int32, errors: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        posix_spawnattr_setpgroup(&attributes, 0)
        var environment = ProcessInfo.processInfo.environment
        environment.merge(plugin.environment) { $1 }
        environment["KUBERNETES_EXEC_INFO"] = try plugin.request()
        var child = pid_t()
        let code = withCStrings([plugin.command] + plugin.arguments) { arguments in
            withCStrings(environment.map { "\($0.key)=\($0.value)" }) { environment in
                posix_spawnp(&child, plugin.command, &actions, &attributes, arguments, environment)
            }
        }
        guard code == 0 else {
            let hint = plugin.installHint.map { "; \($0)" } ?? ""
            throw plugin.problem("cannot be started: \(String(cString: strerror(code)))\(hint)")
        }
        return child
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

    /// A pipe from the child; the bytes beyond a limit are read, counted and dropped.
    private struct Channel {
        private(set) var readEnd: Int32
        private(set) var writeEnd: Int32
        private(set) var bytes: [UInt8] = []
        private(set) var total = 0
        private(set) var isAtEnd = false
        private let limit: Int

        init(limit: Int) throws {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else {
                throw KubernetesError(.unavailable, "credential plugin: no pipe: \(String(cString: strerror(errno)))")
            }
            self.limit = limit
            readEnd = ends[0]
            writeEnd = ends[1]
            // Another thread may start a process between these lines, which then holds an end, too. That is why the end
            // of the child ends the run, and not the end of its output.
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            _ = fcntl(readEnd, F_SETFL, O_NONBLOCK)
        }

        mutating func readOnce() {
            var piece = [UInt8](repeating: 0, count: 16 * 1024)
            let count = read(readEnd, &piece, piece.count)
            guard count > 0 else {
                if count == 0 || (errno != EAGAIN && errno != EINTR) { isAtEnd = true }
                return
            }
            total += count
            bytes += piece.prefix(min(count, max(limit - bytes.count, 0)))
        }

        /// Reads what is there now, and no more than a pipe can hold.
        mutating func drain() {
            var descriptor = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
            let start = total
            while !isAtEnd, total - start <= 1 << 20, poll(&descriptor, 1, 0) > 0 { readOnce() }
        }

        mutating func closeWriteEnd() {
            Glibc.close(writeEnd)
            writeEnd = -1
        }

        func close() {
            Glibc.close(readEnd)
            if writeEnd >= 0 { Glibc.close(writeEnd) }
        }
    }
}
