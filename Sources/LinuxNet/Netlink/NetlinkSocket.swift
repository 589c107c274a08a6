import CMnl
import Glibc
import Synchronization

/// A netlink socket for requests. It belongs to the network namespace of the thread that opened it, for good, and may
/// be used from any thread; requests are done one after the other. Every call is synchronous and short: the kernel
/// answers while it is asked.
public final class NetlinkSocket: Sendable {
    /// Which part of the kernel a socket speaks to.
    public enum Bus: Int32, Sendable {
        case route = 0
        case netfilter = 12
        case generic = 16
    }

    private struct State {
        let handle: OpaquePointer
        var sequence: UInt32
        var buffer: [UInt8]
    }

    /// One datagram of a reply is at most this long: the kernel caps dumps at 32 KiB.
    private static let receiveCapacity = 65536
    /// A dump that the kernel reports as inconsistent is repeated this often before the last result is refused.
    private static let dumpAttempts = 8
    /// How long the kernel may take for one datagram, in seconds.
    private static let receiveTimeout = 10

    private let state: Mutex<State>

    /// Opens a socket in the calling thread's network namespace.
    public init(_ bus: Bus) throws {
        guard let handle = mnl_socket_open2(bus.rawValue, Int32(SOCK_CLOEXEC.rawValue)) else {
            throw LinuxNetError.system("open a \(bus) netlink socket", errorNumber: errno)
        }
        guard mnl_socket_bind(handle, 0, 0) == 0 else {
            let failure = errno
            mnl_socket_close(handle)
            throw LinuxNetError.system("bind a \(bus) netlink socket", errorNumber: failure)
        }
        // Old kernels lack these; all they give is better error texts and smaller dumps.
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
            var on: Int32 = 1
            _ = mnl_socket_setsockopt(handle, Int32(option), &on, socklen_t(MemoryLayout<Int32>.size))
        }
        var limit = timeval(tv_sec: Self.receiveTimeout, tv_usec: 0)
        setsockopt(
            mnl_socket_get_fd(handle), SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        state = Mutex(State(handle: handle, sequence: 0, buffer: [UInt8](repeating: 0, count: Self.receiveCapacity)))
    }

    deinit {
        _ = state.withLock { mnl_socket_close($0.handle) }
    }

    /// Sends a request and gives what the kernel answers: nothing but the acknowledgement for a change, one message
    /// for a question, all objects for a dump. A dump that was disturbed by changes is done again.
    ///
    /// - Parameter operation: What is being tried; used in errors.
    /// - Throws: The kernel's refusal with its extended text.
    @discardableResult
    public func request(_ message: NetlinkMessage, _ operation: String) throws -> [NetlinkReply] {
        let isDump = message.flags.isSuperset(of: .dump)
        return try state.withLock { state in
            for _ in 0..<Self.dumpAttempts {
                state.sequence &+= 1
                try Self.send(message, &state, operation)
                var collector = ReplyCollector(sequence: state.sequence, isDump: isDump)
                while !collector.isComplete {
                    collector.take(try Self.receive(&state, operation))
                }
                if let failure = try collector.failure(operation) { throw failure }
                if !collector.wasInterrupted { return collector.replies }
            }
            throw LinuxNetError(
                code: .temporary, message: "cannot \(operation)", cause: "the list kept changing while it was read",
                advice: "try again")
        }
    }

    /// Changes in one datagram. All of them may fail, and each failure waits in the receive buffer with about 1 KiB of
    /// bookkeeping; the kernel's default for that buffer is 208 KiB.
    private static let changesAtOnce = 192

    /// Sends changes in order, many in one datagram: one system call to send and one to receive for 192 of them if
    /// none fails. A change that fails does not keep those after it from being made.
    ///
    /// - Parameter changes: Requests that the kernel answers with an acknowledgement only.
    /// - Returns: The failures, by the change's index.
    /// - Throws: What kept the changes from being sent or the answers from being read; some may have been made.
    public func perform(_ changes: [NetlinkMessage], _ operation: String) throws -> [(index: Int, error: LinuxNetError)]
    {
        try state.withLock { state in
            var failures: [(index: Int, error: LinuxNetError)] = []
            for start in stride(from: 0, to: changes.count, by: Self.changesAtOnce) {
                let part = changes[start..<min(start + Self.changesAtOnce, changes.count)]
                let first = state.sequence &+ 1
                state.sequence &+= UInt32(part.count)
                var bytes: [UInt8] = []
                for (offset, change) in part.enumerated() {
                    bytes += change.bytes(
                        sequence: first &+ UInt32(offset), isAcknowledged: offset == part.count - 1)
                    bytes += [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
                }
                try Self.send(bytes, &state, operation)
                var collector = ChangeCollector(first: first, count: part.count, operation: operation)
                while !collector.isComplete {
                    try collector.take(try Self.receive(&state, operation))
                }
                failures += collector.failures.map { (index: start + $0.index, error: $0.error) }
            }
            return failures
        }
    }

    private static func send(_ message: NetlinkMessage, _ state: inout State, _ operation: String) throws {
        try send(message.bytes(sequence: state.sequence), &state, operation)
    }

    private static func send(_ bytes: [UInt8], _ state: inout State, _ operation: String) throws {
        while true {
            if mnl_socket_sendto(state.handle, bytes, bytes.count) == bytes.count { return }
            guard errno == EINTR else { throw LinuxNetError.system(operation, errorNumber: errno) }
        }
    }

    private static func receive(_ state: inout State, _ operation: String) throws -> ArraySlice<UInt8> {
        while true {
            let count = mnl_socket_recvfrom(state.handle, &state.buffer, receiveCapacity)
            if count >= 0 { return Array(state.buffer[..<count])[...] }
            guard errno == EINTR else { throw LinuxNetError.system(operation, errorNumber: errno) }
        }
    }
}

/// Takes the datagrams of one reply apart. Pure: bytes in, messages or a failure out.
struct ReplyCollector {
    private let sequence: UInt32
    private let isDump: Bool
    private(set) var replies: [NetlinkReply] = []
    private(set) var isComplete = false
    private(set) var wasInterrupted = false
    private var errorNumber: Int32 = 0
    private var kernelText: String?
    private var malformed: String?

    init(sequence: UInt32, isDump: Bool) {
        self.sequence = sequence
        self.isDump = isDump
    }

    /// Takes one datagram. Messages with another sequence number are left-overs of an earlier request: dropped.
    mutating func take(_ datagram: ArraySlice<UInt8>) {
        let headerSize = MemoryLayout<nlmsghdr>.size
        var rest = datagram
        while rest.count >= headerSize && !isComplete {
            let header = rest.withUnsafeBytes { $0.loadUnaligned(as: nlmsghdr.self) }
            let length = Int(header.nlmsg_len)
            guard (headerSize...rest.count).contains(length) else {
                malformed = "a message of \(length) bytes in \(rest.count)"
                isComplete = true
                return
            }
            if header.nlmsg_seq == sequence {
                take(header, rest.dropFirst(headerSize).prefix(length - headerSize))
            }
            rest = rest.dropFirst((length + 3) & ~3)
        }
    }

    private mutating func take(_ header: nlmsghdr, _ payload: ArraySlice<UInt8>) {
        let flags = Int32(header.nlmsg_flags)
        if flags & NLM_F_DUMP_INTR != 0 { wasInterrupted = true }
        switch Int32(header.nlmsg_type) {
        case NLMSG_ERROR:
            isComplete = true
            // A capped acknowledgement repeats only the request's header, else all of the request.
            let echoed = payload.dropFirst(4)
            let echoedLength =
                flags & NLM_F_CAPPED != 0 || echoed.count < 16
                ? 16 : Int(echoed.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) } + 3) & ~3
            takeStatus(payload, flags, textOffset: 4 + echoedLength)
        case NLMSG_DONE:
            isComplete = true
            takeStatus(payload, flags, textOffset: 4)
        case NLMSG_NOOP:
            break
        case NLMSG_OVERRUN:
            errorNumber = ENOBUFS
            isComplete = true
        default:
            replies.append(NetlinkReply(type: header.nlmsg_type, payload: payload))
        // An answer that is not part of a dump is followed by the acknowledgement that was asked for.
        }
    }

    private mutating func takeStatus(_ payload: ArraySlice<UInt8>, _ flags: Int32, textOffset: Int) {
        guard payload.count >= 4 else { return }
        errorNumber = -payload.withUnsafeBytes { $0.loadUnaligned(as: Int32.self) }
        if isDump && errorNumber == EINTR {
            // Some families end an inconsistent dump this way instead of flagging its messages.
            wasInterrupted = true
            errorNumber = 0
        }
        guard flags & NLM_F_ACK_TLVS != 0, payload.count > textOffset,
            let attributes = try? NetlinkAttributes(payload.dropFirst(textOffset))
        else { return }
        kernelText = attributes[NLMSGERR_ATTR_MSG.rawValue]?.string
    }

    /// What went wrong, if anything did.
    func failure(_ operation: String) throws -> LinuxNetError? {
        if let malformed { return LinuxNetError.malformedReply("\(operation): \(malformed)") }
        guard errorNumber != 0 else { return nil }
        return LinuxNetError.system(operation, errorNumber: errorNumber, kernelText: kernelText)
    }
}

/// Takes the answers to changes that went out in one datagram apart: failures, and the acknowledgement of the last one.
struct ChangeCollector {
    private let first: UInt32
    private let count: Int
    private let operation: String
    private(set) var failures: [(index: Int, error: LinuxNetError)] = []
    private(set) var isComplete = false

    init(first: UInt32, count: Int, operation: String) {
        self.first = first
        self.count = count
        self.operation = operation
    }

    /// Takes one datagram. Messages that answer none of the changes are left-overs: dropped.
    mutating func take(_ datagram: ArraySlice<UInt8>) throws {
        let headerSize = MemoryLayout<nlmsghdr>.size
        var rest = datagram
        while rest.count >= headerSize && !isComplete {
            let header = rest.withUnsafeBytes { $0.loadUnaligned(as: nlmsghdr.self) }
            let length = Int(header.nlmsg_len)
            guard (headerSize...rest.count).contains(length) else {
                throw LinuxNetError.malformedReply("\(operation): a message of \(length) bytes in \(rest.count)")
            }
            let index = Int(header.nlmsg_seq &- first)
            if index < count, Int32(header.nlmsg_type) == NLMSG_ERROR {
                var answer = ReplyCollector(sequence: header.nlmsg_seq, isDump: false)
                answer.take(rest.prefix(length))
                if let error = try answer.failure(operation) { failures.append((index, error)) }
                isComplete = index == count - 1
            }
            rest = rest.dropFirst((length + 3) & ~3)
        }
    }
}
