import CMnl
import Glibc
import LinuxNet
import ProviderKit
import Synchronization
import Testing

@testable import VXLANProvider

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// Whether links of the kind can be made here.
let canTunnel: Bool = {
    guard geteuid() == 0, let namespace = try? NetworkNamespace(name: "kegwt-vx-probe-\(getpid())") else {
        return false
    }
    defer { _ = try? namespace.delete() }
    do {
        try namespace.create()
        try namespace.runBlocking {
            var generator = SystemRandomNumberGenerator()
            try RouteSocket().createVXLAN(
                name: "probe", VXLANParameters(identifier: 1, port: 4789), family: .ipv4,
                hardwareAddress: .random(using: &generator), mtu: 1400)
        }
        return true
    } catch {
        return false
    }
}()
let needsVXLAN: Comment = "makes VXLAN links: needs root and a kernel with VXLAN"

/// A host for providers under test: keeps what they log, has the machine's monotonic clock and no HTTP.
final class TestHost: HostServices {
    private let lines = Mutex<[String]>([])

    var log: [String] { lines.withLock { $0 } }

    func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {
        let data = metadata.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        lines.withLock { $0.append("\(level) \(message) \(data)") }
    }

    func now() -> HostInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return HostInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        throw ProviderError(.unsupported, "\(request.url): the test host has no HTTP")
    }

    var context: CallContext {
        CallContext(deadline: now().advanced(by: .seconds(60)), host: ProviderHost(self))
    }
}

/// A namespace of one test's own, gone when the test ends.
final class TestNamespace: Sendable {
    let namespace: NetworkNamespace
    let routes: RouteSocket
    var path: String { namespace.path }
    var name: String { String(path.dropFirst(NetworkNamespace.directory.count + 1)) }

    init(_ name: String) async throws {
        namespace = try NetworkNamespace(name: "kegwt-vx-\(name)-\(getpid())")
        try namespace.create()
        routes = try await RouteSocket.open(in: namespace)
        try routes.setUp(true, index: 1)
    }

    deinit {
        _ = try? namespace.delete()
    }

    /// What another maker's tool prints, run inside the namespace.
    @discardableResult
    func shell(_ command: String) throws -> String {
        try run("ip netns exec \(name) \(command)")
    }

    /// Whether an echo request is answered within `seconds`, sent each 0.2 s.
    func pings(_ address: String, seconds: Int = 2) -> Bool {
        (0..<(seconds * 5)).contains { _ in (try? shell("ping -c 1 -i 0.2 -W 0.2 -n \(address)")) != nil }
    }

    /// Everything the namespace's tables say, as iproute2 prints it.
    func tables(_ link: String) throws -> String {
        try ["link show \(link)", "addr show dev \(link)", "-4 route", "-6 route", "neigh show dev \(link)"]
            .map { try shell("ip -d \($0)") }.joined(separator: "--\n")
            + shell("bridge fdb show dev \(link)")
    }
}

/// The output of a shell command; tools of other makers are the tests' second opinion.
@discardableResult
func run(_ command: String) throws -> String {
    guard let pipe = popen("(\(command)) 2>&1 </dev/null", "r") else {
        throw ShellFailure(command: command, output: "", status: -1)
    }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = fread(&buffer, 1, buffer.count, pipe)
        if count == 0 { break }
        output += buffer[..<count]
    }
    let status = pclose(pipe)
    let text = String(decoding: output, as: UTF8.self)
    guard status == 0 else { throw ShellFailure(command: command, output: text, status: status) }
    return text
}

struct ShellFailure: Error {
    let command: String
    let output: String
    let status: Int32
}

/// Hears what the kernel tells of changed links, addresses, routes, neighbours and forwarding entries of a namespace.
final class ChangeMonitor: Sendable {
    private let descriptor: Int32

    init(in namespace: NetworkNamespace) throws {
        descriptor = try namespace.runBlocking {
            let descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_NONBLOCK.rawValue), NETLINK_ROUTE)
            var address = sockaddr_nl()
            address.nl_family = sa_family_t(AF_NETLINK)
            address.nl_groups = UInt32(
                RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR
                    | RTMGRP_IPV6_ROUTE)
            let status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
                }
            }
            guard status == 0 else { throw LinuxNetError.system("bind a monitor", errorNumber: errno) }
            return descriptor
        }
    }

    deinit {
        close(descriptor)
    }

    /// Datagrams since the last question. The kernel queues them before it answers a request, so none is still to come.
    func messages() -> Int {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var count = 0
        while recv(descriptor, &buffer, buffer.count, 0) > 0 { count += 1 }
        return count
    }
}

/// Sockets that live in one namespace each and speak from the tests' own thread.
enum Conversation {
    /// Sends `bytes` from one namespace to another and back over TCP or UDP.
    ///
    /// - Returns: Whether they came back whole, and from whom the server saw them come.
    static func echo(
        _ bytes: [UInt8], from client: NetworkNamespace, to server: NetworkNamespace, _ address: String,
        port: UInt16, isStream: Bool
    ) throws -> (isWhole: Bool, seen: String) {
        let kind = Int32((isStream ? SOCK_STREAM : SOCK_DGRAM).rawValue)
        let listener = try server.runBlocking { try openSocket(kind, bound: (address, port)) }
        defer { close(listener) }
        if isStream { listen(listener, 1) }
        let sender = try client.runBlocking { try openSocket(kind, bound: nil) }
        defer { close(sender) }
        guard withAddress(address, port, { connect(sender, $0, $1) }) == 0 else {
            throw LinuxNetError.system("connect to \(address)", errorNumber: errno)
        }
        send(sender, bytes, bytes.count, 0)
        var source = sockaddr_in()
        let accepted = isStream ? withSource(&source) { accept(listener, $0, $1) } : listener
        guard accepted >= 0 else { throw LinuxNetError.system("accept", errorNumber: errno) }
        defer { if isStream { close(accepted) } }
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while received.count < bytes.count {
            let count =
                isStream
                ? recv(accepted, &buffer, buffer.count, 0)
                : withSource(&source) { recvfrom(accepted, &buffer, buffer.count, 0, $0, $1) }
            guard count > 0 else { break }
            received += buffer[..<count]
        }
        if isStream {
            send(accepted, received, received.count, 0)
        } else {
            let size = socklen_t(MemoryLayout<sockaddr_in>.size)
            _ = withUnsafePointer(to: &source) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(accepted, received, received.count, 0, $0, size)
                }
            }
        }
        var back: [UInt8] = []
        while back.count < bytes.count {
            let count = recv(sender, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            back += buffer[..<count]
        }
        return (back == bytes, IPAddress(ipv4: UInt32(bigEndian: source.sin_addr.s_addr)).description)
    }

    private static func openSocket(_ kind: Int32, bound: (String, UInt16)?) throws -> Int32 {
        let descriptor = socket(AF_INET, kind | Int32(SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 3, tv_usec: 0)
        // A port may be used again right after a conversation.
        var on: Int32 = 1
        if kind == Int32(SOCK_STREAM.rawValue) {
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        if let (address, port) = bound, withAddress(address, port, { bind(descriptor, $0, $1) }) != 0 {
            throw LinuxNetError.system("bind \(address):\(port)", errorNumber: errno)
        }
        return descriptor
    }

    private static func withAddress<R>(
        _ text: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
    ) -> R {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = (IPAddress(text)?.ipv4Bits ?? 0).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func withSource<R>(
        _ source: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> R
    ) -> R {
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafeMutablePointer(to: &source) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &length) }
        }
    }

    /// A UDP socket on a port of the calling thread's namespace, for the caller to close.
    static func boundSocket(port: UInt16) throws -> Int32 {
        try openSocket(Int32(SOCK_DGRAM.rawValue), bound: ("0.0.0.0", port))
    }
}
