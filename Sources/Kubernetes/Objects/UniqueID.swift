/// Keeps the identity of an object. Servers give UUIDs (RFC 9562, in lower case), which take 16 bytes here and 80 as a text
/// of its own; a store holds two in each object that has an owner. Every other text is kept as it is.
struct UniqueID: Sendable, Equatable {
    private enum Form: Sendable, Equatable {
        case uuid(UInt64, UInt64)
        case text(String)
    }

    private var form: Form

    init(_ text: String) {
        var text = text
        form = text.withUTF8(Self.uuid) ?? .text(text)
    }

    var text: String {
        switch form {
        case .text(let text): return text
        case .uuid(let high, let low):
            return String(unsafeUninitializedCapacity: Self.length) { bytes in
                var digit = 0
                for index in 0..<Self.length {
                    if Self.isHyphen(index) {
                        bytes[index] = UInt8(ascii: "-")
                        continue
                    }
                    let half = digit < 16 ? high : low
                    let value = UInt8(half >> (60 - UInt64(digit % 16) * 4) & 0xF)
                    bytes[index] = value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
                    digit += 1
                }
                return Self.length
            }
        }
    }

    private static var length: Int { 36 }

    private static func isHyphen(_ index: Int) -> Bool { index == 8 || index == 13 || index == 18 || index == 23 }

    private static func uuid(_ bytes: UnsafeBufferPointer<UInt8>) -> Form? {
        guard bytes.count == length else { return nil }
        var (high, low) = (UInt64(0), UInt64(0))
        for (index, byte) in bytes.enumerated() {
            if isHyphen(index) {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            let value: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = byte - UInt8(ascii: "a") + 10
            default: return nil
            }
            high = high << 4 | low >> 60
            low = low << 4 | UInt64(value)
        }
        return .uuid(high, low)
    }
}
