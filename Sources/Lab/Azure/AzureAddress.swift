/// An IPv4 address.
struct AzureAddress: Sendable, Hashable, Comparable, CustomStringConvertible {
    let value: UInt32

    init(value: UInt32) {
        self.value = value
    }

    /// Nil unless `text` is four decimal octets.
    init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard part.count <= 3, part.allSatisfy({ ("0"..."9").contains($0) }), let octet = UInt8(part) else {
                return nil
            }
            value = value << 8 | UInt32(octet)
        }
        self.value = value
    }

    var description: String {
        [value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255].map(String.init).joined(separator: ".")
    }

    static func < (left: Self, right: Self) -> Bool { left.value < right.value }
}

/// An IPv4 block, aligned to its length.
struct AzureBlock: Sendable, Hashable, CustomStringConvertible {
    let first: AzureAddress
    let length: Int

    /// Nil unless `text` is an aligned IPv4 CIDR.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let first = AzureAddress(parts[0]), let length = Int(parts[1]),
            (0...32).contains(length)
        else { return nil }
        self.init(first: first, length: length)
        guard UInt64(first.value) % count == 0 else { return nil }
    }

    init(first: AzureAddress, length: Int) {
        self.first = first
        self.length = length
    }

    var count: UInt64 { 1 << UInt64(32 - length) }
    var last: AzureAddress { AzureAddress(value: UInt32(UInt64(first.value) + count - 1)) }
    var description: String { "\(first)/\(length)" }

    func contains(_ address: AzureAddress) -> Bool { address >= first && address <= last }
    func contains(_ other: AzureBlock) -> Bool { contains(other.first) && contains(other.last) }
    func overlaps(_ other: AzureBlock) -> Bool { first <= other.last && other.first <= last }

    /// The lowest address that is neither used nor one of the `reservedLow` first or `reservedHigh` last ones.
    func firstFree(reservedLow: UInt32, reservedHigh: UInt32, used: Set<AzureAddress>) -> AzureAddress? {
        guard count > UInt64(reservedLow) + UInt64(reservedHigh) else { return nil }
        return (first.value + reservedLow...last.value - reservedHigh).lazy
            .map(AzureAddress.init(value:)).first { !used.contains($0) }
    }

    /// The lowest aligned sub-block of `length` that overlaps none of `taken` and holds neither end of this block, so
    /// that no given address looks like a network's own or its broadcast address.
    func firstFreeBlock(length: Int, taken: [AzureBlock]) -> AzureBlock? {
        guard length > self.length, length <= 32 else { return nil }
        let step = UInt64(1) << UInt64(32 - length)
        var start = UInt64(first.value)
        while start + step - 1 <= UInt64(last.value) {
            let block = AzureBlock(first: AzureAddress(value: UInt32(start)), length: length)
            if !block.contains(first), !block.contains(last), !taken.contains(where: block.overlaps) { return block }
            start += step
        }
        return nil
    }
}
