import CSodium

/// The text protocol of userspace WireGuard (https://www.wireguard.com/xplatform/), as pure functions from values to
/// bytes and back. Buffers that hold a private key are the caller's to wipe.
enum UserspaceProtocol {
    /// Asks for everything.
    static let getRequest = Array("get=1\n\n".utf8)
    /// A reply ends with an empty line.
    static let replyEnd: [UInt8] = [10, 10]

    /// The request that does a change. Holds the private key if the change does.
    static func setRequest(_ configuration: WireGuardConfiguration) -> [UInt8] {
        // Room for the key's lines, so that the buffer does not move and leave a copy behind.
        var text: [UInt8] = []
        text.reserveCapacity(256 + configuration.peers.count * 256)
        text += "set=1\n".utf8
        if let key = configuration.privateKey {
            text += "private_key=".utf8
            key.withUnsafeBytes { WireGuardKeyText.appendHexadecimal($0, to: &text) }
            text.append(10)
        }
        if let port = configuration.listenPort { text += "listen_port=\(port)\n".utf8 }
        if configuration.replacePeers { text += "replace_peers=true\n".utf8 }
        for peer in configuration.peers { append(peer, to: &text) }
        text.append(10)
        return text
    }

    private static func append(_ peer: WireGuardPeerChange, to text: inout [UInt8]) {
        text += "public_key=".utf8
        peer.publicKey.bytes.withUnsafeBytes { WireGuardKeyText.appendHexadecimal($0, to: &text) }
        text.append(10)
        if peer.remove {
            text += "remove=true\n".utf8
            return
        }
        if peer.updateOnly { text += "update_only=true\n".utf8 }
        if let endpoint = peer.endpoint { text += "endpoint=\(endpoint)\n".utf8 }
        if let seconds = peer.persistentKeepalive { text += "persistent_keepalive_interval=\(seconds)\n".utf8 }
        if peer.replaceAllowedIPs { text += "replace_allowed_ips=true\n".utf8 }
        for prefix in peer.allowedIPs { text += "allowed_ip=\(prefix)\n".utf8 }
    }

    /// The errno a reply ends with, 0 for success.
    ///
    /// - Throws: `malformedReply` if it has none.
    static func errorNumber(inReply reply: [UInt8]) throws -> Int32 {
        for line in reply.split(separator: 10).reversed() {
            guard let (name, value) = split(line), name == "errno" else { continue }
            // The reference says positive, wireguard-go writes negative numbers.
            guard let number = Int32(value), number != .min else { break }
            return abs(number)
        }
        throw LinuxNetError.malformedReply("a WireGuard control reply without errno")
    }

    /// Reads the reply to ``getRequest``. Lines with unknown names are skipped: the protocol grows that way.
    static func status(inReply reply: [UInt8]) throws -> WireGuardStatus {
        var status = WireGuardStatus()
        for line in reply.split(separator: 10) {
            if line.starts(with: privateKeyName) {
                // Not by way of a String: those bytes could not be wiped.
                let digits = line.dropFirst(privateKeyName.count)
                let isZero = digits.allSatisfy { $0 == UInt8(ascii: "0") }
                guard isZero || digits.count == 2 * WireGuardKey.byteCount else { throw malformed("private_key") }
                status.publicKey = isZero ? nil : WireGuardPrivateKey.read(hexadecimal: digits)?.publicKey
                continue
            }
            guard let (name, value) = split(line) else { throw malformed("a line without \"=\"") }
            try take(name, value, &status)
        }
        return status
    }

    private static let privateKeyName = Array("private_key=".utf8)

    private static func take(_ name: String, _ value: String, _ status: inout WireGuardStatus) throws {
        switch name {
        case "listen_port":
            status.listenPort = try number(name, value)
        case "public_key":
            var bytes = [UInt8](repeating: 0, count: WireGuardKey.byteCount)
            let digits = Array(value.utf8)[...]
            guard bytes.withUnsafeMutableBytes({ WireGuardKeyText.decodeHexadecimal(digits, into: $0) }),
                let key = WireGuardKey(bytes: bytes)
            else { throw malformed(name) }
            status.peers.append(WireGuardPeerStatus(publicKey: key))
        case "endpoint", "persistent_keepalive_interval", "allowed_ip", "last_handshake_time_sec",
            "last_handshake_time_nsec", "rx_bytes", "tx_bytes":
            guard var peer = status.peers.popLast() else { throw malformed("\(name) before a public_key") }
            try take(name, value, &peer)
            status.peers.append(peer)
        default:
            break
        }
    }

    private static func take(_ name: String, _ value: String, _ peer: inout WireGuardPeerStatus) throws {
        switch name {
        case "endpoint": peer.endpoint = try endpoint(value)
        case "persistent_keepalive_interval": peer.persistentKeepalive = try number(name, value)
        case "allowed_ip": peer.allowedIPs.insert(try IPPrefix(parsing: value, field: name, hostBits: .clear))
        case "last_handshake_time_sec": peer.addHandshake(.seconds(try number(name, value) as Int64))
        case "last_handshake_time_nsec": peer.addHandshake(.nanoseconds(try number(name, value) as Int64))
        case "rx_bytes": peer.receivedBytes = try number(name, value)
        default: peer.sentBytes = try number(name, value)
        }
    }

    /// "1.2.3.4:5" or "[fe80::1%2]:5"; the scope is dropped.
    private static func endpoint(_ text: String) throws -> WireGuardEndpoint {
        let parts = text.split(separator: ":")
        guard let portText = parts.last, let port = UInt16(portText) else { throw malformed("endpoint") }
        var host = text.dropLast(portText.utf8.count + 1)
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(String(host.prefix { $0 != "%" })) else { throw malformed("endpoint") }
        return WireGuardEndpoint(address: address, port: port)
    }

    private static func split(_ line: ArraySlice<UInt8>) -> (name: String, value: String)? {
        guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        return (
            String(decoding: line[..<equals], as: UTF8.self), String(decoding: line[(equals + 1)...], as: UTF8.self)
        )
    }

    private static func number<Number: FixedWidthInteger>(_ name: String, _ value: String) throws -> Number {
        guard let number = Number(value) else { throw malformed("\(name) \(value)") }
        return number
    }

    private static func malformed(_ what: String) -> LinuxNetError {
        LinuxNetError(
            code: .malformedReply, message: "the WireGuard control reply is malformed: \(what)",
            advice: "report it with the version of wireguard-go")
    }
}

extension WireGuardPeerStatus {
    /// Adds a part of the handshake's time; zero parts, which mean "never", leave nil.
    mutating func addHandshake(_ part: Duration) {
        guard part != .zero else { return }
        lastHandshake = (lastHandshake ?? .zero) + part
    }
}
