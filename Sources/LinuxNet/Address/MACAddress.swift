/// A 48-bit link-layer address.
public struct MACAddress: Hashable, Sendable, CustomStringConvertible {
    /// Six bytes in transmission order.
    public let bytes: [UInt8]

    /// Nil unless there are six bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        self.bytes = Array(bytes)
    }

    /// Six pairs of hexadecimal digits joined by colons, in lower case.
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
