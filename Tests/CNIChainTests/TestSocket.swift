import Glibc
import LinuxNet

/// A UDP or TCP socket that lives in a namespace and is used from the tests' own thread.
final class TestSocket: Sendable {
    struct Packet: Equatable {
        let bytes: [UInt8]
        let source: String
        let port: UInt16
    }

    private let descriptor: Int32
    private let isIPv6: Bool

    static func open(
        in namespace: NetworkNamespace, bind address: String, port: UInt16, isStream: Bool = false
    ) async throws -> TestSocket {
        try await namespace.run { try TestSocket(bind: address, port: port, isStream: isStream) }
    }

    private init(bind address: String, port: UInt16, isStream: Bool) throws {
        isIPv6 = address.contains(":")
        let kind = isStream ? SOCK_STREAM : SOCK_DGRAM
        descriptor = socket(isIPv6 ? AF_INET6 : AF_INET, Int32(kind.rawValue | SOCK_NONBLOCK.rawValue), 0)
        let status = Self.withAddress(address, port) { bind(descriptor, $0, $1) }
        guard status == 0 else { throw LinuxNetError.system("bind \(address):\(port)", errorNumber: errno) }
        if isStream && port != 0 { listen(descriptor, 8) }
    }

    deinit {
        close(descriptor)
    }

    /// Sends one packet; a packet the kernel refuses to send is simply not sent.
    func send(_ bytes: [UInt8], to address: String, port: UInt16) {
        _ = Self.withAddress(address, port) { sendto(descriptor, bytes, bytes.count, 0, $0, $1) }
    }

    /// Whether a TCP connection comes about in that time.
    func connects(to address: String, port: UInt16, milliseconds: Int32) -> Bool {
        _ = Self.withAddress(address, port) { connect(descriptor, $0, $1) }
        var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&request, 1, milliseconds) == 1 && request.revents & Int16(POLLERR | POLLHUP) == 0
    }

    func receive(milliseconds: Int32) -> Packet? {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&request, 1, milliseconds) == 1 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 2048)
        var source = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let count = withUnsafeMutablePointer(to: &source) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &buffer, buffer.count, 0, $0, &length)
            }
        }
        guard count >= 0 else { return nil }
        let raw = withUnsafeBytes(of: source) { Array($0) }
        // sockaddr_in: family, port, address; sockaddr_in6: family, port, flow, address.
        let address = IPAddress(bytes: isIPv6 ? raw[8..<24] : raw[4..<8])
        return Packet(
            bytes: Array(buffer[..<count]), source: address?.description ?? "",
            port: UInt16(raw[2]) << 8 | UInt16(raw[3]))
    }

    private static func withAddress<R>(
        _ text: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
    ) -> R {
        var storage = sockaddr_storage()
        let bytes = IPAddress(text)?.bytes ?? []
        withUnsafeMutableBytes(of: &storage) { raw in
            raw.storeBytes(of: UInt16(bytes.count == 16 ? AF_INET6 : AF_INET), as: UInt16.self)
            raw[2] = UInt8(port >> 8)
            raw[3] = UInt8(port & 255)
            let offset = bytes.count == 16 ? 8 : 4
            for (index, byte) in bytes.enumerated() { raw[offset + index] = byte }
        }
        let size = bytes.count == 16 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
        return withUnsafePointer(to: storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(size)) }
        }
    }
}
