import CSodium
import Glibc

/// A WireGuard public key: 32 bytes of a Curve25519 point. Not secret; its text form is base64 of 44 characters.
public struct WireGuardKey: Sendable, Hashable, CustomStringConvertible {
    /// Length of public and private keys in bytes (WG_KEY_LEN of linux/wireguard.h, RFC 7748).
    public static let byteCount = 32

    /// Exactly ``byteCount`` bytes.
    public let bytes: [UInt8]

    /// - Returns: Nil unless there are exactly ``byteCount`` bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = Array(bytes)
    }

    /// Reads base64 text as `wg pubkey` prints it.
    ///
    /// - Parameter field: The name under which the caller knows the value; used in the error.
    /// - Throws: `invalidValue` unless it is canonical base64 of 32 bytes.
    public init(parsing text: String, field: String = "public key") throws {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        let isKey = bytes.withUnsafeMutableBytes { WireGuardKeyText.decode(text, into: $0) }
        guard isKey else { throw LinuxNetError.invalid(field, value: text, allowed: WireGuardKeyText.allowed) }
        self.bytes = bytes
    }

    /// Canonical base64, 44 characters.
    public var description: String { bytes.withUnsafeBytes { WireGuardKeyText.encode($0) } }
}

/// A WireGuard private key. The bytes lie in guarded memory of libsodium's that is locked against swapping where the
/// process may, and are wiped when the last reference goes. No description shows them.
///
/// Sendable: the memory is written in `init` only, read-only until `deinit`, and never handed out beyond a closure.
public final class WireGuardPrivateKey: @unchecked Sendable, CustomStringConvertible, CustomReflectable {
    private let memory: UnsafeMutableRawPointer
    /// The public half.
    public let publicKey: WireGuardKey

    /// A new random key from the kernel's generator (by libsodium).
    public static func generate() throws -> WireGuardPrivateKey {
        try WireGuardPrivateKey { bytes in
            guard let start = bytes.baseAddress else { return false }
            randombytes_buf(start, bytes.count)
            return true
        } refusal: {
            LinuxNetError.malformedReply("the random generator gave no key")
        }
    }

    /// Reads base64 text as `wg genkey` prints it. The caller answers for its own copy of the text.
    ///
    /// - Parameter field: The name under which the caller knows the value; used in the error, which never shows the
    ///   value itself.
    /// - Throws: `invalidValue` unless it is canonical base64 of 32 bytes that are not all zero.
    public convenience init(parsing text: String, field: String = "private key") throws {
        try self.init { bytes in
            WireGuardKeyText.decode(text, into: bytes) && !bytes.allSatisfy { $0 == 0 }
        } refusal: {
            LinuxNetError.invalid(
                field, value: "(\(text.utf8.count) characters, not shown)", allowed: WireGuardKeyText.allowed)
        }
    }

    /// Reads 64 hexadecimal digits, the form of the userspace control protocol; nil if they are none.
    static func read(hexadecimal digits: ArraySlice<UInt8>) -> WireGuardPrivateKey? {
        try? WireGuardPrivateKey { bytes in
            WireGuardKeyText.decodeHexadecimal(digits, into: bytes)
        } refusal: {
            LinuxNetError.malformedReply("a private key that is not 64 hexadecimal digits")
        }
    }

    /// Makes the guarded memory, lets `fill` write it, clamps the key (RFC 7748 section 5) and derives the public half.
    private init(
        fill: (UnsafeMutableRawBufferPointer) -> Bool, refusal: () -> LinuxNetError
    ) throws {
        guard WireGuardKeyText.libraryIsReady, let memory = sodium_malloc(WireGuardKey.byteCount) else {
            throw LinuxNetError.system("allocate memory for a private key", errorNumber: ENOMEM)
        }
        let bytes = memory.assumingMemoryBound(to: UInt8.self)
        var publicBytes = [UInt8](repeating: 0, count: WireGuardKey.byteCount)
        guard fill(UnsafeMutableRawBufferPointer(start: memory, count: WireGuardKey.byteCount)) else {
            sodium_free(memory)
            throw refusal()
        }
        bytes[0] &= 248
        bytes[31] = bytes[31] & 127 | 64
        guard crypto_scalarmult_base(&publicBytes, bytes) == 0,
            let publicKey = WireGuardKey(bytes: publicBytes)
        else {
            sodium_free(memory)
            throw refusal()
        }
        _ = sodium_mprotect_readonly(memory)
        self.memory = memory
        self.publicKey = publicKey
    }

    deinit {
        // Wipes before it frees.
        sodium_free(memory)
    }

    /// Lends the bytes; they must not be kept or printed.
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(start: memory, count: WireGuardKey.byteCount))
    }

    /// Canonical base64 for the place where the key is kept, such as a Secret. The text is not wiped; never log it.
    public func exportBase64() -> String {
        withUnsafeBytes { WireGuardKeyText.encode($0) }
    }

    public var description: String { "[private key of \(publicKey)]" }
    public var customMirror: Mirror { Mirror(self, children: ["publicKey": publicKey]) }
}

/// Base64 and hexadecimal of keys, by libsodium, whose codecs take the same time for every key.
enum WireGuardKeyText {
    static let allowed =
        "base64 of \(WireGuardKey.byteCount) bytes, 44 characters, as `wg genkey` and `wg pubkey` print"

    /// libsodium wants one initialisation per process; calling it again does nothing.
    static let libraryIsReady = sodium_init() >= 0

    /// The alphabet of RFC 4648 section 4 with padding.
    private static let variant = sodium_base64_VARIANT_ORIGINAL

    /// Writes the key into `bytes`; false unless `text` is canonical base64 of exactly that many bytes.
    static func decode(_ text: String, into bytes: UnsafeMutableRawBufferPointer) -> Bool {
        guard let target = bytes.assumingMemoryBound(to: UInt8.self).baseAddress else { return false }
        var length = 0
        let code = sodium_base642bin(target, bytes.count, text, text.utf8.count, nil, &length, nil, variant)
        return libraryIsReady && code == 0 && length == bytes.count
    }

    static func encode(_ bytes: UnsafeRawBufferPointer) -> String {
        // 44 characters and a NUL.
        var text = [CChar](repeating: 0, count: 45)
        defer { sodium_memzero(&text, text.count) }
        guard let source = bytes.assumingMemoryBound(to: UInt8.self).baseAddress,
            sodium_bin2base64(&text, text.count, source, bytes.count, variant) != nil
        else { return "" }
        return text.withUnsafeBufferPointer {
            String(decoding: $0.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
    }

    static func decodeHexadecimal(_ digits: ArraySlice<UInt8>, into bytes: UnsafeMutableRawBufferPointer) -> Bool {
        guard let target = bytes.assumingMemoryBound(to: UInt8.self).baseAddress else { return false }
        var length = 0
        let code = digits.withUnsafeBytes { source -> Int32 in
            guard let start = source.assumingMemoryBound(to: CChar.self).baseAddress else { return -1 }
            return sodium_hex2bin(target, bytes.count, start, source.count, nil, &length, nil)
        }
        return code == 0 && length == bytes.count
    }

    /// Appends lower-case digits to a buffer that the caller wipes if they are secret.
    static func appendHexadecimal(_ bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        func digit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 87 + value }
        for byte in bytes {
            output.append(digit(byte >> 4))
            output.append(digit(byte & 15))
        }
    }
}
