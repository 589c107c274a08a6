/// Names that the cloud knows us by. They are the Go system's, so that a switch keeps every egress address (upstream
/// behaviour section 2.2).
public enum Names {
    /// Prefix of every ipConfiguration and managed prefix of ours.
    public static let ownPrefix = "egressgateway-"

    /// Ending of the names of what is IPv6, which the Go system does not have.
    private static let ipv6Ending = "-ipv6"

    /// Namespace of the name-based UUIDs of pools of standalone machines.
    static let poolNamespace: [UInt8] = [
        0x2c, 0x96, 0xe8, 0x2c, 0x84, 0x2f, 0x11, 0xf0, 0x8e, 0xa5, 0x6b, 0xee, 0x14, 0x27, 0x8e, 0xcd,
    ]

    /// Name of the managed prefix, the ipConfiguration and its public address configuration of one gateway
    /// configuration.
    ///
    /// - Parameter uid: UID of the GatewayVMConfiguration.
    public static func managed(_ uid: String) -> String { ownPrefix + uid }

    /// Whether an ipConfiguration is one of ours.
    public static func isManaged(_ name: String) -> Bool { name.lowercased().hasPrefix(ownPrefix) }

    /// The same for IPv6.
    public static func managedIPv6(_ uid: String) -> String { managed(uid) + ipv6Ending }

    /// Every name that one configuration's ipConfigurations and prefixes can have.
    public static func allManaged(_ uid: String) -> [String] { [managed(uid), managedIPv6(uid)] }

    /// The form of RFC 9562 section 4: 8, 4, 4, 4 and 12 hexadecimal digits. A UID that Kubernetes gives has it; what a
    /// person names rarely has.
    public static func isUUID(_ text: String) -> Bool {
        let groups = text.split(separator: "-", omittingEmptySubsequences: false)
        return groups.map(\.utf8.count) == [8, 4, 4, 4, 12]
            && groups.allSatisfy { $0.allSatisfy { $0.isASCII && $0.isHexDigit } }
    }

    /// The UID that a managed name was made from; nil if the name is not one of ours.
    public static func uid(ofManaged name: String) -> String? {
        guard isManaged(name), name.utf8.count > ownPrefix.utf8.count else { return nil }
        let rest = name.dropFirst(ownPrefix.count)
        return String(rest.lowercased().hasSuffix(ipv6Ending) ? rest.dropLast(ipv6Ending.count) : rest)
    }

    /// Stands for `properties.uniqueId` with pools of standalone machines: the version 3 UUID (RFC 9562 section 5.3) of
    /// the pool's name. The name's case matters.
    public static func virtualMachinePoolID(_ poolName: String) -> String {
        var digest = MD5.digest(poolNamespace + Array(poolName.utf8))
        digest[6] = digest[6] & 0x0f | 0x30
        digest[8] = digest[8] & 0x3f | 0x80
        let digits = digest.map(hexadecimal).joined()
        var groups: [Substring] = []
        var rest = Substring(digits)
        for length in [8, 4, 4, 4, 12] {
            groups.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        return groups.joined(separator: "-")
    }

    /// Name of the public address of one NIC in a pool of standalone machines.
    public static func publicAddress(prefix: String, networkInterface: String) -> String {
        "\(prefix)-\(String(fnv1a(networkInterface), radix: 16))"
    }

    /// The 64-bit FNV-1a hash (RFC 9923) of the UTF-8 bytes.
    static func fnv1a(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }
}
