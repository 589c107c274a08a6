import Glibc

/// A program that runs beside the driver, on one processor. Its errors go where the driver's go.
final class ChildProcess {
    let pid: pid_t
    private let output: CInt
    private var unread: [UInt8] = []
    private var hasEnded = false

    /// - Parameters:
    ///   - command: program and arguments; the program is searched in PATH.
    ///   - environment: added to the driver's own.
    init(_ command: [String], environment: [String] = []) throws {
        var ends: [CInt] = [0, 0]
        guard pipe(&ends) == 0 else { throw BenchError(description: "pipe: errno \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        var inherited: [String] = []
        var entry = environ
        while let text = entry.pointee {
            inherited.append(String(cString: text))
            entry += 1
        }
        var child = pid_t()
        let status = Self.withPointers(command) { arguments in
            Self.withPointers(inherited + environment) { variables in
                posix_spawnp(&child, command[0], &actions, nil, arguments, variables)
            }
        }
        close(ends[1])
        guard status == 0 else {
            close(ends[0])
            throw BenchError(description: "cannot start \(command.joined(separator: " ")): errno \(status)")
        }
        (pid, output) = (child, ends[0])
    }

    deinit {
        end()
        close(output)
    }

    /// The next line of the program's output, without its newline.
    ///
    /// - Throws: ``BenchError`` if the program ended, or wrote none within the time.
    func line(within seconds: Int) throws -> String {
        let deadline = monotonic() + Int64(seconds) * 1_000_000_000
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            if let newline = unread.firstIndex(of: UInt8(ascii: "\n")) {
                defer { unread.removeFirst(newline + 1) }
                return String(decoding: unread[..<newline], as: UTF8.self)
            }
            let left = max(deadline - monotonic(), 0) / 1_000_000
            var poller = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            guard poll(&poller, 1, CInt(left)) > 0 else {
                throw BenchError(description: "process \(pid) wrote nothing in \(seconds) s")
            }
            let count = read(output, &buffer, buffer.count)
            guard count > 0 else { throw BenchError(description: "process \(pid) ended before it wrote its line") }
            unread += buffer[..<count]
        }
    }

    /// Ends the program, if it still runs, and waits for it.
    func end() {
        guard !hasEnded else { return }
        hasEnded = true
        kill(pid, SIGKILL)
        var status: CInt = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }

    private static func withPointers<Result>(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = texts.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }
}
