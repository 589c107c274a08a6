import Glibc
import LinuxNet

/// The streams between a child and the thread that waits for it. Socket pairs, because they are made close-on-exec in
/// one step: no other child that is started at the same moment can inherit an end and hold it open.
struct ChildConversation: ~Copyable {
    private struct Stream {
        /// This process's end; -1 once closed.
        var ours: Int32
        /// The child's end; -1 once closed.
        var child: Int32
        var received: [UInt8] = []
    }

    /// Input, output, error.
    private var streams: [Stream]
    private var input: ArraySlice<UInt8>
    private let outputLimit: Int

    init(input: [UInt8], outputLimit: Int) throws {
        self.input = input[...]
        self.outputLimit = outputLimit
        var streams: [Stream] = []
        for _ in 0..<3 {
            var ends: [Int32] = [-1, -1]
            let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
                let failure = errno
                for stream in streams { _ = (close(stream.ours), close(stream.child)) }
                throw LinuxNetError.system("make a socket pair", errorNumber: failure)
            }
            _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
            streams.append(Stream(ours: ends[0], child: ends[1]))
        }
        self.streams = streams
    }

    deinit {
        for stream in streams {
            if stream.ours >= 0 { close(stream.ours) }
            if stream.child >= 0 { close(stream.child) }
        }
    }

    var childInput: Int32 { streams[0].child }
    var childOutput: Int32 { streams[1].child }
    var childError: Int32 { streams[2].child }

    /// The child has its copies.
    mutating func closeChildEnds() {
        for index in streams.indices {
            close(streams[index].child)
            streams[index].child = -1
        }
    }

    /// Feeds the child, reads what it says, and collects it. A grandchild that keeps the streams open does not delay
    /// the result.
    mutating func finish(
        _ pid: Int32, command: ChildCommand, deadline: ContinuousClock.Instant
    ) throws -> ChildOutput {
        var status: Int32 = 0
        while true {
            let isSilent = streams[1].ours < 0 && streams[2].ours < 0
            exchange(milliseconds: isSilent ? 1 : 20)
            let reaped = waitpid(pid, &status, WNOHANG)
            if reaped == pid { break }
            guard reaped == 0 || errno == EINTR else {
                throw LinuxNetError.system("wait for process \(pid)", errorNumber: errno)
            }
            guard ContinuousClock().now < deadline else {
                kill(-pid, SIGKILL)
                waitpid(pid, &status, 0)
                throw LabError(
                    code: .timeout, message: "\(command.executable) did not end in time and was killed",
                    cause: String(decoding: streams[2].received.suffix(500), as: UTF8.self),
                    advice: "see what it waits for")
            }
        }
        // What the child wrote before it ended is in the sockets already.
        exchange(milliseconds: 0)
        return ChildOutput(
            status: ExitStatus(waitStatus: status), standardOutput: streams[1].received,
            standardError: streams[2].received)
    }

    private mutating func exchange(milliseconds: Int32) {
        if input.isEmpty, streams[0].ours >= 0 {
            close(streams[0].ours)
            streams[0].ours = -1
        }
        // poll(2) passes over negative descriptors.
        var polled = streams.enumerated().map { index, stream in
            pollfd(fd: stream.ours, events: Int16(index == 0 ? POLLOUT : POLLIN), revents: 0)
        }
        guard poll(&polled, nfds_t(polled.count), milliseconds) > 0 else { return }
        if polled[0].revents != 0 { feed() }
        for index in 1...2 where polled[index].revents != 0 { drain(index) }
    }

    private mutating func feed() {
        let count = input.withUnsafeBytes { send(streams[0].ours, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count > 0 {
            input = input.dropFirst(count)
        } else if errno != EAGAIN && errno != EINTR {
            // The child does not want the rest.
            input = []
        }
    }

    private mutating func drain(_ index: Int) {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = recv(streams[index].ours, &buffer, buffer.count, 0)
            guard count > 0 else {
                if count == 0 {
                    close(streams[index].ours)
                    streams[index].ours = -1
                }
                return
            }
            let room = max(outputLimit - streams[index].received.count, 0)
            streams[index].received += buffer[..<min(count, room)]
        }
    }
}
