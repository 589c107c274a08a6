import CMnl
import Glibc
import LinuxNet
import Synchronization

/// Chooses local UDP ports for pods' ends, each for one pod: then all of a pod's packets have one pair of addresses and
/// ports, and the load balancer gives all of them to one gateway.
///
/// Ports in use are not written down anywhere: whether one is free is asked of the kernel, so that a restarted daemon,
/// or another one, sees what there is. Only those between the choice and the link's start are remembered.
final class PortPool: Sendable {
    private let range: ClosedRange<UInt16>
    private let reserved = Mutex<Set<UInt16>>([])

    init(_ range: ClosedRange<UInt16>) {
        self.range = range
    }

    /// Calls `body` with a port that is free, and with the next one as long as it says that the port was taken after
    /// all. On a thread in the node's namespace.
    ///
    /// - Parameters:
    ///   - name: Where the search begins follows from it, so that a pod gets the same port again when it is free.
    ///   - family: Of the socket that will have the port.
    ///   - body: Gives nil if the port was taken.
    /// - Throws: `temporary` if no port is free.
    func withPort<R>(for name: String, family: IPAddress.Family, _ body: (UInt16) throws -> R?) throws -> R {
        let count = Int(range.upperBound) - Int(range.lowerBound) + 1
        let start = name.utf8.reduce(UInt32(5381)) { $0 &* 33 &+ UInt32($1) }
        for step in 0..<count {
            let port = range.lowerBound + UInt16((Int(start) + step) % count)
            guard reserved.withLock({ $0.insert(port).inserted }) else { continue }
            defer { reserved.withLock { _ = $0.remove(port) } }
            guard try Self.isFree(port, family) else { continue }
            if let result = try body(port) { return result }
        }
        throw LinuxNetError(
            code: .temporary, message: "no UDP port of \(range.lowerBound)-\(range.upperBound) is free",
            advice: "widen config.portRange")
    }

    /// Whether no socket of the calling thread's namespace has the port.
    private static func isFree(_ port: UInt16, _ family: IPAddress.Family) throws -> Bool {
        let descriptor = socket(
            Int32(family.rawValue), Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LinuxNetError.system("open a UDP socket", errorNumber: errno) }
        defer { close(descriptor) }
        let code: Int32
        switch family {
        case .ipv4:
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            code = bind(descriptor, &address)
        case .ipv6:
            var only: Int32 = 1
            setsockopt(
                descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &only, socklen_t(MemoryLayout<Int32>.size))
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            code = bind(descriptor, &address)
        }
        if code == 0 { return true }
        guard errno == EADDRINUSE else {
            throw LinuxNetError.system("bind UDP port \(port)", errorNumber: errno)
        }
        return false
    }

    private static func bind<Address>(_ descriptor: Int32, _ address: inout Address) -> Int32 {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }
}
