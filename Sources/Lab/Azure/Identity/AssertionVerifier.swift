import JSONModel

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Why nobody is let in, in the sign-in service's words.
struct SignInRefusal: Error, Sendable, Equatable {
    let status: Int
    /// The OAuth error (RFC 6749 section 5.2).
    let error: String
    /// The number behind `AADSTS`.
    let code: Int
    let message: String

    init(_ status: Int, _ error: String, _ code: Int, _ message: String) {
        self.status = status
        self.error = error
        self.code = code
        self.message = message
    }

    static func unknownTenant(_ name: String) -> SignInRefusal {
        SignInRefusal(400, "invalid_request", 90002, "Tenant '\(name)' not found.")
    }
}

/// A signed JSON Web Token (RFC 7515, RFC 7519) taken apart.
struct JSONWebToken {
    let header: JSONValue
    let claims: JSONValue
    let signedText: [UInt8]
    let signature: [UInt8]

    /// Nil unless `text` is three base64url parts of which the first two are JSON objects.
    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.decoded(parts[0]), let claims = Self.decoded(parts[1]),
            let signature = Self.decoded(parts[2]), !signature.isEmpty,
            let headerValue = try? JSONValue(json: Data(header)), headerValue.members != nil,
            let claimsValue = try? JSONValue(json: Data(claims)), claimsValue.members != nil
        else { return nil }
        self.header = headerValue
        self.claims = claimsValue
        self.signature = signature
        signedText = Array("\(parts[0]).\(parts[1])".utf8)
    }

    /// Base64url without padding (RFC 4648 section 5).
    static func decoded(_ text: Substring) -> [UInt8]? {
        guard !text.contains("+"), !text.contains("/") else { return nil }
        let standard = text.replacing("-", with: "+").replacing("_", with: "/")
        let padding = String(repeating: "=", count: (4 - standard.count % 4) % 4)
        return Data(base64Encoded: standard + padding).map { [UInt8]($0) }
    }

    static func encoded(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
            .replacing("=", with: "")
    }

    /// A time claim, in seconds since 1970; numbers with a fraction are allowed.
    func time(_ claim: String) -> Double? {
        switch claims[member: claim] {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}

/// Checks the assertions by which an application proves itself without a secret: signed with a registered certificate,
/// or a token of a trusted issuer.
struct AssertionVerifier: Sendable {
    private struct RegisteredCertificate: Sendable {
        /// Base64url digests of the DER certificate, as `x5t` and `x5t#S256` of a header.
        let thumbprints: Set<String>
        let key: [UInt8]
    }

    /// How much a token's clock may be off.
    private static let skew: Double = 300

    private let certificates: [RegisteredCertificate]
    /// Keys of the federated credentials, in their order.
    private let federatedKeys: [[UInt8]?]

    /// - Throws: ``AzureSimulator/StartError`` that names the certificate or key.
    init(_ identity: AzureSimulator.Identity) throws {
        certificates = try identity.certificates.enumerated().map { index, pem in
            guard let certificate = OpenSSL.certificate(pem: pem) else {
                throw AzureSimulator.StartError(
                    code: .configuration,
                    message: "identity.certificates[\(index)]: not a PEM certificate")
            }
            return RegisteredCertificate(
                thumbprints: [
                    JSONWebToken.encoded(OpenSSL.digest(certificate.der, .sha1)),
                    JSONWebToken.encoded(OpenSSL.digest(certificate.der, .sha256)),
                ], key: certificate.publicKey)
        }
        federatedKeys = try identity.federated.map { credential in
            guard let pem = credential.publicKey else { return nil }
            guard let key = OpenSSL.publicKey(pem: pem) else {
                throw AzureSimulator.StartError(
                    code: .configuration,
                    message: "identity.federated: publicKey of issuer \(credential.issuer) is no PEM public key")
            }
            return key
        }
    }

    /// - Parameters:
    ///   - audience: the token endpoint, which a self-signed assertion must be made for.
    ///   - now: the time of day of the simulator.
    func check(
        _ text: String, identity: AzureSimulator.Identity, audience: String, at now: Date
    ) throws(SignInRefusal) {
        guard let token = JSONWebToken(text) else {
            throw SignInRefusal(401, "invalid_client", 50027, "JWT token is invalid or malformed.")
        }
        let issuer = token.claims[member: "iss"]?.text ?? ""
        let subject = token.claims[member: "sub"]?.text ?? ""
        if issuer.lowercased() == identity.clientID.lowercased(), subject.lowercased() == issuer.lowercased() {
            try checkCertificate(token, audience: audience)
        } else {
            try checkFederated(token, issuer: issuer, subject: subject, identity: identity)
        }
        let seconds = now.timeIntervalSince1970
        guard let end = token.time("exp"), end + Self.skew > seconds, (token.time("nbf") ?? 0) - Self.skew <= seconds
        else {
            throw SignInRefusal(
                401, "invalid_client", 700_024, "Client assertion is not within its valid time range.")
        }
    }

    private func checkCertificate(_ token: JSONWebToken, audience: String) throws(SignInRefusal) {
        // Some libraries pad the thumbprint.
        let names = ["x5t#S256", "x5t"].compactMap { token.header[member: $0]?.text?.replacing("=", with: "") }
        let certificate = certificates.first { certificate in names.contains { certificate.thumbprints.contains($0) } }
        guard let certificate else {
            throw SignInRefusal(
                401, "invalid_client", 700_027,
                "The certificate with identifier used to sign the client assertion is not registered on application.")
        }
        guard Self.audiences(token).contains(where: { $0.lowercased() == audience.lowercased() }) else {
            throw SignInRefusal(
                401, "invalid_client", 700_023,
                "Client assertion audience claim does not match Realm issuer: it must be \(audience).")
        }
        try checkSignature(token, key: certificate.key)
    }

    private func checkFederated(
        _ token: JSONWebToken, issuer: String, subject: String, identity: AzureSimulator.Identity
    ) throws(SignInRefusal) {
        let index = identity.federated.firstIndex { $0.issuer == issuer && $0.subject == subject }
        guard let index else {
            throw SignInRefusal(
                400, "invalid_request", 70021,
                "No matching federated identity record found for presented assertion. Assertion Issuer: '\(issuer)'. "
                    + "Assertion Subject: '\(subject)'.")
        }
        guard Self.audiences(token).contains(identity.federated[index].audience) else {
            throw SignInRefusal(
                400, "invalid_request", 700_212,
                "No matching federated identity record found for presented assertion audience "
                    + "'\(Self.audiences(token).joined(separator: " "))'.")
        }
        if let key = federatedKeys[index] { try checkSignature(token, key: key) }
    }

    private func checkSignature(_ token: JSONWebToken, key: [UInt8]) throws(SignInRefusal) {
        let algorithm = token.header[member: "alg"]?.text ?? ""
        guard ["RS256", "PS256"].contains(algorithm) else {
            throw SignInRefusal(
                401, "invalid_client", 5_002_738, "Signature algorithm '\(algorithm)' is neither RS256 nor PS256.")
        }
        guard
            OpenSSL.isValid(
                signature: token.signature, of: token.signedText, publicKey: key, isPSS: algorithm == "PS256")
        else {
            throw SignInRefusal(
                401, "invalid_client", 700_027,
                "Client assertion failed signature validation: the key was found, but use of the key to verify the "
                    + "signature failed.")
        }
    }

    /// The `aud` claim: one text or a list of them (RFC 7519 section 4.1.3).
    private static func audiences(_ token: JSONWebToken) -> [String] {
        let claim = token.claims[member: "aud"]
        return claim?.text.map { [$0] } ?? (claim?.elements ?? []).compactMap(\.text)
    }
}
