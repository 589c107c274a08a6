import CSodium

/// Names under which this project's tunnel links are made, and marks by which they are recognised.
///
/// Each link is made in the node's namespace under a name of its own, derived from where it will end up, and keeps that
/// name in its alias when it is moved and renamed: a daemon that starts again finds the link, and by the alias what
/// belongs to it, such as the control socket of a userspace process, which is named after the link at its creation.
/// All tunnel providers share the names, so that one can take the place of another's link.
public enum TunnelNaming {
    private static let prefix = "egw"
    /// Hexadecimal digits after the prefix, so that the name has IFNAMSIZ - 1 = 15 bytes. 48 bits of a hash: among
    /// 10,000 links of a machine two collide with a chance of 1 in 5 million.
    private static let digitCount = 12
    private static let nameLength = prefix.utf8.count + digitCount

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
        name.hasPrefix(prefix) && name.utf8.count == nameLength
            && name.utf8.dropFirst(prefix.utf8.count).allSatisfy {
                (48...57).contains($0) || (97...102).contains($0)
            }
    }

    /// The creation name that an alias is, or begins with before a space and what its provider keeps there; nil for
    /// aliases of others.
    public static func creationName(inAlias alias: String) -> String? {
        let name = String(alias.prefix { $0 != " " })
        return isCreationName(name) ? name : nil
    }
}
