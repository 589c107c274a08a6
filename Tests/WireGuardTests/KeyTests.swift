import LinuxNet
import Testing

@Suite("WireGuard keys")
struct KeyTests {
    @Test func aGeneratedKeyIsClamped() throws {
        let key = try WireGuardPrivateKey.generate()
        key.withUnsafeBytes { bytes in
            #expect(bytes[0] & 7 == 0)
            #expect(bytes[31] & 0xc0 == 0x40)
        }
    }
}
