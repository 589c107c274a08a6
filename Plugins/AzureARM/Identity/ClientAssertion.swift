import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The signed statement by which a client proves that it has a certificate's key (RFC 7523 section 3; Microsoft
/// identity platform, "certificate credentials").
enum ClientAssertion {
    static let type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    /// As long as the Go SDK's (azidentity, through MSAL).
    static let lifetime = 600

    /// - Parameters:
    ///   - audience: URL of the token endpoint.
    ///   - identifier: unique among assertions.
    static func make(
        certificate: ClientCertificate, clientID: String, audience: String, identifier: String, at now: Date
    ) throws -> Secret {
        let leaf = certificate.chain.first ?? Data()
        let header: JSONValue = [
            "alg": "RS256", "typ": "JWT", "x5t": .string(base64URL(sha1(leaf))),
            "x5t#S256": .string(base64URL(sha256(leaf))),
            // With the chain a certificate may be trusted by subject and issuer, so that it can be renewed.
            "x5c": .array(certificate.chain.map { .string($0.base64EncodedString()) }),
        ]
        let seconds = Int64(now.timeIntervalSince1970)
        let claims: JSONValue = [
            "aud": .string(audience), "iss": .string(clientID), "sub": .string(clientID), "jti": .string(identifier),
            "nbf": .integer(seconds), "iat": .integer(seconds), "exp": .integer(seconds + Int64(lifetime)),
        ]
        let signed = "\(base64URL(try header.json())).\(base64URL(try claims.json()))"
        return Secret("\(signed).\(base64URL(try certificate.sign(Data(signed.utf8))))")
    }

    /// RFC 4648 section 5, without padding.
    static func base64URL(_ data: Data) -> String {
        String(
            data.base64EncodedString().compactMap { character in
                switch character {
                case "+": "-"
                case "/": "_"
                case "=": nil
                default: character
                }
            })
    }
}
