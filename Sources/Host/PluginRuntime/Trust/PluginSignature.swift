import CSodium
import FoundationEssentials

/// libsodium wants one initialisation per process; more do nothing.
private let sodiumIsReady = sodium_init() >= 0

/// SHA-256 (FIPS 180-4) of what is given to it piece by piece, by libsodium.
struct SHA256Digest {
    private var state = crypto_hash_sha256_state()

    init() {
        _ = sodiumIsReady
        crypto_hash_sha256_init(&state)
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.assumingMemoryBound(to: UInt8.self).baseAddress else { return }
        crypto_hash_sha256_update(&state, start, UInt64(bytes.count))
    }

    /// - Returns: the 32 bytes.
    mutating func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(crypto_hash_sha256_BYTES))
        crypto_hash_sha256_final(&state, &digest)
        return digest
    }

    static func of(_ bytes: [UInt8]) -> [UInt8] {
        var digest = SHA256Digest()
        bytes.withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }
}

/// Lower-case hexadecimal digits.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef")
    return bytes.reduce(into: "") { text, byte in
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
}

/// The bytes of canonical base64 with padding; nil for every other text.
func canonicalBase64(_ text: String) -> [UInt8]? {
    guard let data = Data(base64Encoded: text), data.base64EncodedString() == text else { return nil }
    return [UInt8](data)
}

/// The public half of an Ed25519 pair (RFC 8032).
public struct PluginPublicKey: Sendable, Hashable, Codable {
    public static let byteCount = 32
    let bytes: [UInt8]

    init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// - Parameter base64: 44 characters.
    public init?(base64: String) {
        guard let bytes = canonicalBase64(base64) else { return nil }
        self.init(bytes: bytes)
    }

    public var base64: String { Data(bytes).base64EncodedString() }

    /// 16 hexadecimal digits: the first 8 bytes of the SHA-256 of the key.
    public var keyID: String { hexadecimal(SHA256Digest.of(bytes).prefix(8)) }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let key = PluginPublicKey(base64: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "must be base64 of \(Self.byteCount) bytes")
        }
        self = key
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(base64)
    }

    func isSignature(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        sodiumIsReady && signature.count == Int(crypto_sign_ed25519_BYTES)
            && crypto_sign_ed25519_verify_detached(signature, message, UInt64(message.count), bytes) == 0
    }
}

/// An Ed25519 pair whose secret half signs manifests. The bytes are wiped when the last reference is gone.
public final class PluginSigningKey: Sendable {
    public let publicKey: PluginPublicKey
    /// libsodium's form, 64 bytes: seed and public key. Owned, wiped and freed by `deinit`, never changed between.
    nonisolated(unsafe) private let secret: UnsafeMutablePointer<UInt8>

    /// PKCS#8 of an Ed25519 key (RFC 8410 section 7): these bytes, then the seed.
    private static let derPrefix: [UInt8] = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ]
    private static let secretByteCount = Int(crypto_sign_ed25519_SECRETKEYBYTES)
    private static let seedByteCount = Int(crypto_sign_ed25519_SEEDBYTES)

    private init(seed: [UInt8]) throws {
        var seed = seed
        defer { sodium_memzero(&seed, seed.count) }
        guard sodiumIsReady, seed.count == Self.seedByteCount, let memory = sodium_malloc(Self.secretByteCount) else {
            throw HostError(.unavailable, "signing key: no locked memory")
        }
        secret = memory.bindMemory(to: UInt8.self, capacity: Self.secretByteCount)
        var bytes = [UInt8](repeating: 0, count: PluginPublicKey.byteCount)
        crypto_sign_ed25519_seed_keypair(&bytes, secret, seed)
        guard let publicKey = PluginPublicKey(bytes: bytes) else {
            throw HostError(.unavailable, "signing key: libsodium made no public key")
        }
        self.publicKey = publicKey
    }

    deinit { sodium_free(secret) }

    /// A new pair from the kernel's random numbers (by libsodium).
    public static func generate() throws -> PluginSigningKey {
        guard sodiumIsReady else { throw HostError(.unavailable, "signing key: libsodium does not start") }
        var seed = [UInt8](repeating: 0, count: seedByteCount)
        defer { sodium_memzero(&seed, seed.count) }
        randombytes_buf(&seed, seed.count)
        return try PluginSigningKey(seed: seed)
    }

    /// Reads what ``pem`` writes, and what `openssl genpkey -algorithm ed25519` writes.
    public convenience init(pem: String) throws {
        let lines = pem.split(whereSeparator: \.isNewline).map { $0.filter { !$0.isWhitespace } }
        guard lines.count >= 3, lines.first == "-----BEGINPRIVATEKEY-----", lines.last == "-----ENDPRIVATEKEY-----",
            let der = canonicalBase64(lines.dropFirst().dropLast().joined()),
            der.starts(with: Self.derPrefix), der.count == Self.derPrefix.count + Self.seedByteCount
        else {
            throw HostError(
                .configuration,
                "signing key: is no Ed25519 private key in PEM (PKCS#8), as `egressctl plugins keygen` writes it")
        }
        try self.init(seed: Array(der.dropFirst(Self.derPrefix.count)))
    }

    /// The secret key, for a file that nobody else may read.
    public var pem: String {
        let seed = UnsafeBufferPointer(start: secret, count: Self.seedByteCount)
        let base64 = Data(Self.derPrefix + seed).base64EncodedString()
        return "-----BEGIN PRIVATE KEY-----\n\(base64)\n-----END PRIVATE KEY-----\n"
    }

    func signature(of message: [UInt8]) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: Int(crypto_sign_ed25519_BYTES))
        crypto_sign_ed25519_detached(&signature, nil, message, UInt64(message.count), secret)
        return signature
    }
}
