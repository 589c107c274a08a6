import CSodium
import Glibc

/// Names under which this project's WireGuard links are made and recognised.
///
/// Control sockets of userspace devices are shared by all network namespaces of a machine and are named after the link
/// at its creation. So each link is made under a name of its own, derived from where it will end up, and keeps that
/// name as its alias when it is moved and renamed: a daemon that starts again finds the link, and by its alias the
/// socket.
public enum WireGuardNaming {
    private static let prefix = "egw"
    /// Hexadecimal digits after the prefix, so that the name has IFNAMSIZ - 1 = 15 bytes. 48 bits of a hash: among
    /// 10,000 links of a machine two collide with a chance of 1 in 5 million.
    private static let digitCount = 12

    /// The creation name of `link` in the namespace at `namespacePath`.
    public static func creationName(namespacePath: String, link: String) -> String {
        // /var/run is /run on every system that has network namespaces by name.
        let path = namespacePath.hasPrefix("/var/run/") ? String(namespacePath.dropFirst(4)) : namespacePath
        let input = Array(path.utf8) + [0] + Array(link.utf8)
        // BLAKE2b's least length is 16 bytes (crypto_generichash_BYTES_MIN).
        var hash = [UInt8](repeating: 0, count: 16)
        _ = crypto_generichash(&hash, hash.count, input, UInt64(input.count), nil, 0)
        var digits: [UInt8] = []
        hash.prefix(digitCount / 2).withUnsafeBytes { WireGuardKeyText.appendHexadecimal($0, to: &digits) }
        return prefix + String(decoding: digits, as: UTF8.self)
    }

    /// Whether a link name or alias is one that ``creationName(namespacePath:link:)`` gives.
    public static func isCreationName(_ name: String) -> Bool {
        name.hasPrefix(prefix) && name.utf8.count == prefix.utf8.count + digitCount
            && name.utf8.dropFirst(prefix.utf8.count).allSatisfy {
                (48...57).contains($0) || (97...102).contains($0)
            }
    }

    /// Creation names whose control socket lies there although nobody listens on it: their process was killed.
    public static func abandonedSockets() -> [UserspaceWireGuard] {
        guard let directory = opendir(UserspaceWireGuard.socketDirectory) else { return [] }
        defer { closedir(directory) }
        var devices: [UserspaceWireGuard] = []
        while let entry = readdir(directory) {
            let file = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            let name = String(file.dropLast(5))
            guard file.hasSuffix(".sock"), isCreationName(name),
                let device = try? UserspaceWireGuard(creationName: name)
            else { continue }
            if case .some(.none) = try? device.processIdentifier() { devices.append(device) }
        }
        return devices
    }
}
