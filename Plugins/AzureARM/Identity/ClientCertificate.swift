import COpenSSL
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

#if canImport(Glibc)
    import Glibc
#endif

/// A client certificate with its RSA key, read from a PKCS#12 or PEM file by libcrypto.
struct ClientCertificate: Sendable {
    /// DER, the certificate of the key first, then the others of the file.
    let chain: [Data]
    let notAfter: Date
    private let key: PrivateKey

    /// Reads `file`.
    ///
    /// - Throws: ``FileProblem`` that names the cause: an unreadable file, a wrong password, no key, a key that is not
    ///   RSA or not the certificate's, or a certificate that has ended.
    init(file: String, password: Secret?, at now: Date) throws(FileProblem) {
        let data = try readSmallFile(file)
        ERR_clear_error()
        defer { ERR_clear_error() }
        let content =
            String(decoding: data, as: UTF8.self).contains("-----BEGIN ")
            ? try CertificateFile.readPEM(data, password) : try CertificateFile.readPKCS12(data, password)
        guard EVP_PKEY_get_base_id(content.key.pointer) == EVP_PKEY_RSA else {
            throw FileProblem(text: "holds a key that is not RSA; client assertions are signed with RS256")
        }
        let isOfKey = { (certificate: Certificate) in
            X509_check_private_key(certificate.pointer, content.key.pointer) == 1
        }
        guard let leaf = content.certificates.first(where: isOfKey)
        else { throw FileProblem(text: "holds no certificate of its private key") }
        let others = content.certificates.filter { $0 !== leaf }
        chain = try [leaf.der()] + others.map { certificate throws(FileProblem) in try certificate.der() }
        notAfter = try leaf.notAfter()
        key = content.key
        guard now < notAfter else {
            throw FileProblem(text: "the certificate has ended on \(notAfter.formatted(.iso8601))")
        }
    }

    /// The RS256 signature (RFC 7518 section 3.3) of `message`.
    func sign(_ message: Data) throws(FileProblem) -> Data {
        guard let context = EVP_MD_CTX_new() else { throw CertificateFile.problem("no digest context") }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key.pointer) == 1 else {
            throw CertificateFile.problem("cannot sign with the key")
        }
        let bytes = [UInt8](message)
        var length = 0
        guard EVP_DigestSign(context, nil, &length, bytes, bytes.count) == 1, length > 0, length <= 4096 else {
            throw CertificateFile.problem("cannot sign with the key")
        }
        var signature = [UInt8](repeating: 0, count: length)
        guard EVP_DigestSign(context, &signature, &length, bytes, bytes.count) == 1 else {
            throw CertificateFile.problem("cannot sign with the key")
        }
        return Data(signature.prefix(length))
    }
}

/// The digest of `data`.
func sha256(_ data: Data) -> Data { digest(data, EVP_sha256()) }

/// The digest of `data`; only to name a certificate (`x5t`, RFC 7515 section 4.1.7).
func sha1(_ data: Data) -> Data { digest(data, EVP_sha1()) }

private func digest(_ data: Data, _ algorithm: OpaquePointer?) -> Data {
    var result = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    let bytes = [UInt8](data)
    // Fails only without memory; an empty digest is then refused by the token endpoint.
    guard EVP_Digest(bytes, bytes.count, &result, &length, algorithm, nil) == 1 else { return Data() }
    return Data(result.prefix(Int(length)))
}

/// An `EVP_PKEY` that is owned here.
///
/// Sendable: nothing writes to the key after it was read, and libcrypto's keys may be used by threads at the same time
/// as long as nobody changes them (openssl-threads(7)).
final class PrivateKey: @unchecked Sendable {
    let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit { EVP_PKEY_free(pointer) }
}

/// An `X509` that is owned here; stays within the function that reads a file.
final class Certificate {
    let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit { X509_free(pointer) }

    func der() throws(FileProblem) -> Data {
        var bytes: UnsafeMutablePointer<UInt8>?
        let length = i2d_X509(pointer, &bytes)
        guard length > 0, let bytes else { throw CertificateFile.problem("holds a certificate that cannot be read") }
        defer { CRYPTO_free(bytes, #fileID, Int32(#line)) }
        return Data(UnsafeBufferPointer(start: bytes, count: Int(length)))
    }

    func notAfter() throws(FileProblem) -> Date {
        var fields = tm()
        guard ASN1_TIME_to_tm(X509_get0_notAfter(pointer), &fields) == 1 else {
            throw CertificateFile.problem("holds a certificate without an end")
        }
        return Date(timeIntervalSince1970: TimeInterval(timegm(&fields)))
    }
}

/// The two file forms that the Go client reads (azidentity `ParseCertificates`).
enum CertificateFile {
    struct Content {
        var key: PrivateKey
        var certificates: [Certificate]
    }

    static func readPKCS12(_ data: Data, _ password: Secret?) throws(FileProblem) -> Content {
        let bio = try memory(data)
        defer { BIO_free(bio) }
        guard let store = d2i_PKCS12_bio(bio, nil) else {
            throw problem("is neither PKCS#12 nor PEM")
        }
        defer { PKCS12_free(store) }
        let word = try verifiedPassword(store, password)
        var key: OpaquePointer?
        var leaf: OpaquePointer?
        var others: OpaquePointer?
        guard PKCS12_parse(store, word, &key, &leaf, &others) == 1 else {
            throw problem("cannot be opened")
        }
        defer { egress_x509_stack_free(others) }
        var certificates = leaf.map { [Certificate(owning: $0)] } ?? []
        for index in 0..<egress_x509_count(others) {
            guard let other = egress_x509_at(others, index), X509_up_ref(other) == 1 else { continue }
            certificates.append(Certificate(owning: other))
        }
        guard let key else { throw FileProblem(text: "holds no private key") }
        return Content(key: PrivateKey(owning: key), certificates: certificates)
    }

    /// The password as the file's authentication code confirms it. A file without a password may have been made with
    /// an empty one or with none, which is not the same.
    private static func verifiedPassword(_ store: OpaquePointer, _ password: Secret?) throws(FileProblem) -> String? {
        if PKCS12_mac_present(store) == 0 { return password?.value }
        if let password {
            if PKCS12_verify_mac(store, password.value, -1) == 1 { return password.value }
            throw problem("cannot be opened with aadClientCertPassword: the password is wrong")
        }
        if PKCS12_verify_mac(store, nil, 0) == 1 { return nil }
        if PKCS12_verify_mac(store, "", 0) == 1 { return "" }
        throw problem("needs a password; aadClientCertPassword is not set")
    }

    static func readPEM(_ data: Data, _ password: Secret?) throws(FileProblem) -> Content {
        var certificates: [Certificate] = []
        let first = try memory(data)
        defer { BIO_free(first) }
        while let certificate = PEM_read_bio_X509(first, nil, nil, nil) {
            certificates.append(Certificate(owning: certificate))
        }
        ERR_clear_error()
        let second = try memory(data)
        defer { BIO_free(second) }
        // Without a callback the last argument is the password; without a password a question on the terminal must
        // not come up, so an empty one is given.
        let word = Array((password?.value ?? "").utf8CString)
        let key = word.withUnsafeBufferPointer { word in
            PEM_read_bio_PrivateKey(second, nil, nil, UnsafeMutableRawPointer(mutating: word.baseAddress))
        }
        guard let key else {
            let text = String(decoding: data, as: UTF8.self)
            guard text.contains("PRIVATE KEY-----") else { throw FileProblem(text: "holds no private key") }
            let isEncrypted = text.contains("ENCRYPTED")
            throw problem(
                isEncrypted
                    ? password == nil
                        ? "needs a password; aadClientCertPassword is not set"
                        : "cannot be opened with aadClientCertPassword: the password is wrong"
                    : "holds a private key that cannot be read")
        }
        return Content(key: PrivateKey(owning: key), certificates: certificates)
    }

    private static func memory(_ data: Data) throws(FileProblem) -> OpaquePointer {
        guard let bio = BIO_new(BIO_s_mem()) else { throw FileProblem(text: "cannot be read: no memory") }
        let bytes = [UInt8](data)
        guard BIO_write(bio, bytes, Int32(bytes.count)) == Int32(bytes.count) else {
            BIO_free(bio)
            throw FileProblem(text: "cannot be read: no memory")
        }
        return bio
    }

    /// `text`, and what libcrypto says about it.
    static func problem(_ text: String) -> FileProblem {
        let code = ERR_peek_last_error()
        if code != 0, egress_error_is_unsupported(ERR_peek_error()) != 0 {
            return FileProblem(
                text: "is encrypted in a way that libcrypto does not offer by default (RC2 or DES of old tools); "
                    + "export it again with AES")
        }
        let reason = code == 0 ? nil : egress_error_reason(code).map { String(cString: $0) }
        return FileProblem(text: reason.map { "\(text) (\($0))" } ?? text)
    }
}
