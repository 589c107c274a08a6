import LinuxNet

/// An IPv4 or IPv6 address as a number, so that the next free one can be counted to.
struct AzureAddress: Sendable, Hashable, Comparable, CustomStringConvertible {
    let family: IPAddress.Family
    let value: UInt128

    init(_ family: IPAddress.Family, value: UInt128) {
        self.family = family
        self.value = value
    }

    /// Nil unless `text` is an address in its usual notation.
    init?(_ text: some StringProtocol) {
        guard let address = IPAddress(String(text)) else { return nil }
        self.init(address.family, value: address.bytes.reduce(0) { $0 << 8 | UInt128($1) })
    }

    var description: String {
        let bytes = (0..<family.byteCount).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        return IPAddress(bytes: bytes)?.description ?? "?"
    }

    /// `IPv4` or `IPv6`, as ARM writes it.
    var version: String { family == .ipv4 ? "IPv4" : "IPv6" }

    static func < (left: Self, right: Self) -> Bool {
        (left.family.bitCount, left.value) < (right.family.bitCount, right.value)
    }
}

/// A block of addresses, aligned to its length.
struct AzureBlock: Sendable, Hashable, CustomStringConvertible {
    let first: AzureAddress
    /// Prefix length, at least 1.
    let length: Int

    /// Nil unless `text` is an aligned CIDR.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let first = AzureAddress(parts[0]), let length = Int(parts[1]),
            (1...first.family.bitCount).contains(length)
        else { return nil }
        self.init(first: first, length: length)
        guard first.value % count == 0 else { return nil }
    }

    init(first: AzureAddress, length: Int) {
        self.first = first
        self.length = length
    }

    init(host address: AzureAddress) {
        self.init(first: address, length: address.family.bitCount)
    }

    var family: IPAddress.Family { first.family }
    var count: UInt128 { 1 << UInt128(family.bitCount - length) }
    var last: AzureAddress { AzureAddress(family, value: first.value + (count - 1)) }
    var description: String { "\(first)/\(length)" }

    func contains(_ address: AzureAddress) -> Bool {
        address.family == family && address >= first && address <= last
    }
    func contains(_ other: AzureBlock) -> Bool { contains(other.first) && contains(other.last) }
    func overlaps(_ other: AzureBlock) -> Bool {
        family == other.family && first <= other.last && other.first <= last
    }

    /// Whether an address is one that the service keeps for itself.
    func isReserved(_ address: AzureAddress, low: UInt128 = 4, high: UInt128 = 1) -> Bool {
        address.value < first.value + low || address.value > last.value - high
    }

    /// The lowest address that is neither used nor one of the `reservedLow` first or `reservedHigh` last ones.
    func firstFree(reservedLow: UInt128, reservedHigh: UInt128, used: Set<AzureAddress>) -> AzureAddress? {
        guard count > reservedLow + reservedHigh else { return nil }
        var value = first.value + reservedLow
        let end = last.value - reservedHigh
        // `used` is finite, so this ends after as many steps as it has elements even in a large block.
        while value <= end {
            let address = AzureAddress(family, value: value)
            if !used.contains(address) { return address }
            value += 1
        }
        return nil
    }

    /// The lowest aligned sub-block of `length` that overlaps none of `taken` and holds neither end of this block, so
    /// that no given address looks like a network's own or its broadcast address.
    func firstFreeBlock(length: Int, taken: [AzureBlock]) -> AzureBlock? {
        guard length > self.length, length <= family.bitCount else { return nil }
        let step = UInt128(1) << UInt128(family.bitCount - length)
        var start = first.value
        while start <= last.value - (step - 1) {
            let block = AzureBlock(first: AzureAddress(family, value: start), length: length)
            if !block.contains(first), !block.contains(last), !taken.contains(where: block.overlaps) { return block }
            start += step
        }
        return nil
    }
}
