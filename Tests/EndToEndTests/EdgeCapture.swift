import Glibc
import LinuxNet
import Synchronization

/// Records every TCP packet that reaches the internet host's web server, from a packet socket in its namespace: the
/// truth about source addresses, below every server and every log.
final class EdgeCapture: Sendable {
    /// One packet towards the web server.
    struct Packet: Sendable {
        var source: IPAddress
        var sourcePort: UInt16
        var isFirst: Bool
        /// Path of the request that starts in this packet.
        var path: String?

        var flow: Flow { Flow(source: source, port: sourcePort) }
    }

    /// A connection as the server sees it. Ports are not used twice within a test.
    struct Flow: Hashable, CustomStringConvertible {
        var source: IPAddress
        var port: UInt16
        var description: String { "\(source):\(port)" }
    }

    private struct State {
        var packets: [Packet] = []
        var isStopped = false
        var hasEnded = false
    }

    private let state = Mutex(State())
    private let server: IPAddress
    private let port: UInt16

    /// Starts recording; returns once the socket is open, so nothing that is sent later is missed.
    init(in namespace: NetworkNamespace, server: IPAddress, port: UInt16) async throws {
        self.server = server
        self.port = port
        let descriptor = try await namespace.run {
            // ETH_P_IP in network order; SOCK_DGRAM starts at the IP header.
            let descriptor = socket(AF_PACKET, Int32(SOCK_DGRAM.rawValue), Int32(UInt16(0x0800).bigEndian))
            guard descriptor >= 0 else { throw LinuxNetError.system("open a packet socket", errorNumber: errno) }
            var buffer: Int32 = 8 << 20
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, socklen_t(MemoryLayout<Int32>.size))
            var limit = timeval(tv_sec: 0, tv_usec: 100_000)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            return descriptor
        }
        Task { try await namespace.run { [self] in record(descriptor) } }
    }

    /// All packets so far.
    var packets: [Packet] { state.withLock { $0.packets } }

    /// Ends the recording.
    func stop() async {
        state.withLock { $0.isStopped = true }
        while !state.withLock({ $0.hasEnded }) { try? await Task.sleep(for: .milliseconds(20)) }
    }

    private func record(_ descriptor: Int32) {
        defer {
            close(descriptor)
            state.withLock { $0.hasEnded = true }
        }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !state.withLock({ $0.isStopped }) {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0, let packet = Self.parse(buffer[..<count], to: server, port: port) else { continue }
            state.withLock { $0.packets.append(packet) }
        }
    }

    private static func parse(_ bytes: ArraySlice<UInt8>, to server: IPAddress, port: UInt16) -> Packet? {
        let header = bytes.count >= 20 ? Int(bytes[0] & 15) * 4 : 0
        guard header >= 20, bytes[9] == 6, bytes.count >= header + 20, IPAddress(bytes: bytes[16..<20]) == server,
            let source = IPAddress(bytes: bytes[12..<16])
        else { return nil }
        func number(_ index: Int) -> UInt16 { UInt16(bytes[header + index]) << 8 | UInt16(bytes[header + index + 1]) }
        guard number(2) == port else { return nil }
        let payload = bytes.dropFirst(header + Int(bytes[header + 12] >> 4) * 4)
        let words = String(decoding: payload.prefix(200), as: UTF8.self).split(separator: " ", maxSplits: 2)
        let isRequest = words.count > 1 && words[0] == "GET"
        return Packet(
            source: source, sourcePort: number(0), isFirst: bytes[header + 13] & 0x12 == 0x02,
            path: isRequest ? String(words[1]) : nil)
    }
}

/// Sends requests from a pod without a pause, and remembers what was answered.
final class PodTraffic: Sendable {
    struct Answer: Sendable {
        var number: Int
        /// The address the server saw; nil: no answer in time.
        var seen: String?
        var moment: ContinuousClock.Instant
    }

    private let answers = Mutex<[Answer]>([])
    private let isStopped = Mutex(false)
    private let task: Mutex<Task<Void, Never>?> = Mutex(nil)

    /// - Parameter timeout: Of one request. A request that nobody answers holds the next one up for as long.
    init(namespace: NetworkNamespace, path: String, server: IPAddress, port: UInt16, timeout: Duration) {
        let running = Task { [self] in
            var number = 0
            while !isStopped.withLock({ $0 }), namespace.exists {
                let answer = try? await EndToEndLab.fetch(
                    from: namespace, server, port: port, path: "/\(path)/\(number)", timeout: timeout)
                let entry = Answer(number: number, seen: answer, moment: ContinuousClock().now)
                answers.withLock { $0.append(entry) }
                number += 1
                try? await Task.sleep(for: .milliseconds(30))
            }
        }
        task.withLock { $0 = running }
    }

    var all: [Answer] { answers.withLock { $0 } }
    /// Distinct addresses the server answered with.
    var seen: Set<String> { Set(all.compactMap(\.seen)) }

    func stop() async {
        isStopped.withLock { $0 = true }
        await task.withLock { $0 }?.value
    }
}
