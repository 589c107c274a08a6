import Glibc

/// One exchange with the node daemon: a frame there, a frame back, on a connection of its own.
struct Relay {
    /// Bytes of one frame's JSON, in both directions.
    static let maximumFrame = 1 << 20

    /// Why there is no answer. What it means depends on the command.
    struct Failure: Error {
        let reason: String
    }

    struct Answer {
        let exitCode: Int32
        let output: String
    }

    let socketPath: String
    /// Monotonic nanoseconds after which nobody waits any more.
    let deadline: Int64

    init(socketPath: String, patience: Int) {
        self.socketPath = socketPath
        deadline = Self.now() + Int64(patience) * 1_000_000_000
    }

    /// - Throws: ``Failure``.
    func exchange(_ request: [UInt8]) throws -> Answer {
        let descriptor = try connect()
        defer { close(descriptor) }
        let length = UInt32(request.count)
        let header = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
        try send(descriptor, header + request)
        let size = try receive(descriptor, count: 4).reduce(0) { $0 << 8 | Int($1) }
        guard size <= Self.maximumFrame else {
            throw Failure(reason: "answer of \(size) bytes; at most \(Self.maximumFrame) are allowed")
        }
        let answer = try receive(descriptor, count: size)
        guard let value = try? JSONReader.read(answer), let exitCode = value["exitCode"]?.integer,
            let output = value["output"]?.text, (0...255).contains(exitCode)
        else { throw Failure(reason: "answer is not {\"exitCode\": 0...255, \"output\": string}") }
        return Answer(exitCode: Int32(exitCode), output: output)
    }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    private static func reason(_ number: Int32) -> String { String(cString: strerror(number)) }

    private func connect() throws -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socketPath.utf8) }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { throw Failure(reason: "socket: \(Self.reason(errno))") }
        while true {
            let result = withUnsafePointer(to: address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if result == 0 { return descriptor }
            let number = errno
            // unix(7): EAGAIN means that the listener's backlog is full, and nothing tells when it is not.
            if number == EINTR || (number == EAGAIN && Self.now() < deadline) {
                usleep(10_000)
                continue
            }
            close(descriptor)
            throw Failure(reason: "connect: \(Self.reason(number))")
        }
    }

    private func wait(_ descriptor: Int32, for events: Int32) throws {
        while true {
            let left = deadline - Self.now()
            guard left > 0 else { throw Failure(reason: "no answer in time") }
            var item = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let result = poll(&item, 1, Int32(left / 1_000_000) + 1)
            if result > 0 { return }
            if result < 0, errno != EINTR { throw Failure(reason: "poll: \(Self.reason(errno))") }
        }
    }

    private func send(_ descriptor: Int32, _ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN || errno == EINTR {
                try wait(descriptor, for: POLLOUT)
            } else {
                throw Failure(reason: "send: \(Self.reason(errno))")
            }
        }
    }

    private func receive(_ descriptor: Int32, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var received = 0
        while received < count {
            let result = bytes[received...].withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            if result > 0 {
                received += result
            } else if result == 0 {
                throw Failure(reason: "the daemon closed the connection")
            } else if errno == EAGAIN || errno == EINTR {
                try wait(descriptor, for: POLLIN)
            } else {
                throw Failure(reason: "receive: \(Self.reason(errno))")
            }
        }
        return bytes
    }
}
