import COpenSSL

/// The few things the simulator needs of libcrypto: digests, RSA signatures to check, and a certificate for its own
/// endpoint. Keys are kept as DER, so that nothing outlives a call.
enum OpenSSL {
    enum Digest {
        case sha1
        case sha256

        fileprivate var algorithm: OpaquePointer? { self == .sha1 ? EVP_sha1() : EVP_sha256() }
    }

    static func digest(_ bytes: [UInt8], _ digest: Digest) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        guard EVP_Digest(bytes, bytes.count, &result, &length, digest.algorithm, nil) == 1 else { return [] }
        return Array(result.prefix(Int(length)))
    }

    /// The first certificate of a PEM text and its SubjectPublicKeyInfo, both DER; nil if there is none.
    static func certificate(pem: String) -> (der: [UInt8], publicKey: [UInt8])? {
        withMemory(pem) { memory in
            guard let certificate = PEM_read_bio_X509(memory, nil, nil, nil) else { return nil }
            defer { X509_free(certificate) }
            guard let key = X509_get0_pubkey(certificate), let publicKey = encoded({ i2d_PUBKEY(key, $0) }),
                let der = encoded({ i2d_X509(certificate, $0) })
            else { return nil }
            return (der, publicKey)
        }
    }

    /// The SubjectPublicKeyInfo of a PEM text, DER; nil if there is none.
    static func publicKey(pem: String) -> [UInt8]? {
        withMemory(pem) { memory in
            guard let key = PEM_read_bio_PUBKEY(memory, nil, nil, nil) else { return nil }
            defer { EVP_PKEY_free(key) }
            return encoded { i2d_PUBKEY(key, $0) }
        }
    }

    /// Whether an RSA key made a SHA-256 signature, with PKCS #1 v1.5 or PSS padding (RFC 8017).
    static func isValid(signature: [UInt8], of message: [UInt8], publicKey: [UInt8], isPSS: Bool) -> Bool {
        let key = publicKey.withUnsafeBufferPointer { bytes in
            var position = bytes.baseAddress
            return d2i_PUBKEY(nil, &position, bytes.count)
        }
        guard let key, let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            EVP_PKEY_free(key)
        }
        guard EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA else { return false }
        // The parameters belong to the context.
        var parameters: OpaquePointer?
        guard EVP_DigestVerifyInit(context, &parameters, EVP_sha256(), nil, key) == 1 else { return false }
        if isPSS {
            // Salt as long as the digest (RFC 7518 section 3.5); -1 says so.
            guard EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1,
                EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, -1) == 1
            else { return false }
        }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }

    /// Runs `body` with a memory BIO that reads `text`.
    private static func withMemory<Value>(_ text: String, _ body: (OpaquePointer) -> Value?) -> Value? {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBytes { buffer in
            guard let memory = BIO_new_mem_buf(buffer.baseAddress, Int32(buffer.count)) else { return nil }
            defer { BIO_free(memory) }
            return body(memory)
        }
    }

    /// Runs an `i2d` function twice: for the length, and for the bytes.
    private static func encoded(
        _ write: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32
    ) -> [UInt8]? {
        let length = write(nil)
        guard length > 0 else { return nil }
        var result = [UInt8](repeating: 0, count: Int(length))
        let written = result.withUnsafeMutableBufferPointer { bytes -> Int32 in
            var position = bytes.baseAddress
            return write(&position)
        }
        return written == length ? result : nil
    }
}

extension AzureSimulator.ServerCertificate {
    /// A certificate of its own for `127.0.0.1`, `::1` and `localhost`, valid for 30 days, with a new P-256 key. A
    /// client trusts it by taking it as its only authority.
    ///
    /// - Throws: ``AzureSimulator/StartError`` if libcrypto fails, which it does not on a sound machine.
    public static func selfSigned() throws -> AzureSimulator.ServerCertificate {
        guard let made = OpenSSL.selfSigned() else {
            throw AzureSimulator.StartError(
                code: .configuration, message: "certificate: libcrypto could not make a key or certificate")
        }
        return AzureSimulator.ServerCertificate(certificate: made.certificate, key: made.key)
    }
}

extension OpenSSL {
    fileprivate static func selfSigned() -> (certificate: String, key: String)? {
        guard let key = makeKey() else { return nil }
        defer { EVP_PKEY_free(key) }
        guard let certificate = X509_new() else { return nil }
        defer { X509_free(certificate) }
        let name = X509_get_subject_name(certificate)
        guard X509_set_version(certificate, 2) == 1,
            ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), .random(in: 1 ... .max)) == 1,
            X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != nil,
            X509_gmtime_adj(X509_getm_notAfter(certificate), 30 * 86400) != nil,
            X509_set_pubkey(certificate, key) == 1,
            // 0x1001 is MBSTRING_ASC, a macro that Swift does not see.
            X509_NAME_add_entry_by_txt(name, "CN", 0x1001, "azure-simulator", -1, -1, 0) == 1,
            X509_set_issuer_name(certificate, name) == 1,
            add(NID_basic_constraints, "critical,CA:TRUE", to: certificate),
            add(NID_key_usage, "critical,digitalSignature,keyCertSign", to: certificate),
            add(NID_ext_key_usage, "serverAuth", to: certificate),
            add(NID_subject_alt_name, "IP:127.0.0.1,IP:::1,DNS:localhost", to: certificate),
            add(NID_subject_key_identifier, "hash", to: certificate),
            X509_sign(certificate, key, EVP_sha256()) > 0
        else { return nil }
        guard let text = written({ PEM_write_bio_X509($0, certificate) }),
            let keyText = written({ PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) })
        else { return nil }
        return (text, keyText)
    }

    private static func makeKey() -> OpaquePointer? {
        guard let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil) else { return nil }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_CTX_set_group_name(context, "prime256v1") == 1,
            EVP_PKEY_generate(context, &key) == 1
        else { return nil }
        return key
    }

    private static func add(_ kind: Int32, _ value: String, to certificate: OpaquePointer) -> Bool {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, certificate, certificate, nil, nil, 0)
        guard let item = X509V3_EXT_conf_nid(nil, &context, kind, value) else { return false }
        defer { X509_EXTENSION_free(item) }
        return X509_add_ext(certificate, item, -1) == 1
    }

    /// What `write` puts into a memory BIO.
    private static func written(_ write: (OpaquePointer) -> Int32) -> String? {
        guard let memory = BIO_new(BIO_s_mem()) else { return nil }
        defer { BIO_free(memory) }
        guard write(memory) == 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let length = BIO_read(memory, &bytes, Int32(bytes.count))
        return length > 0 ? String(decoding: bytes.prefix(Int(length)), as: UTF8.self) : nil
    }
}
