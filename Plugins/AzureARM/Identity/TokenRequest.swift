import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// Builds the request that turns a credential into a token.
struct TokenRequest: Sendable {
    let credential: Credential
    let userAgent: String
    let surroundings: Surroundings

    private static let metadataService = "http://169.254.169.254"

    /// Reads what the credential keeps in files anew each time: Kubernetes and certificate managers replace them.
    ///
    /// - Throws: ``ProviderError`` that names the file and the cause.
    func make(_ environment: CloudEnvironment, deadline: HostInstant) throws(ProviderError) -> HTTPRequest {
        switch credential {
        case .managedIdentity(let identity):
            return metadataRequest(identity, environment, deadline: deadline)
        case .clientSecret(let tenant, let clientID, let secret):
            return form(
                tenant, clientID, [("client_secret", secret.value)], environment, deadline: deadline)
        case .clientCertificate(let tenant, let clientID, let file, let password):
            let assertion = try assertion(file, password, clientID, url(tenant, environment))
            return form(tenant, clientID, asserting(assertion), environment, deadline: deadline)
        case .federatedToken(let tenant, let clientID, let file):
            return form(tenant, clientID, asserting(try token(file)), environment, deadline: deadline)
        }
    }

    /// Whether the request goes to the metadata service, which has rules of its own.
    var asksMetadataService: Bool {
        if case .managedIdentity = credential { true } else { false }
    }

    /// Reads the files once, so that a mistake is told at the start.
    func checkFiles() throws(ProviderError) {
        guard case .clientCertificate(_, _, let file, let password) = credential else { return }
        do throws(FileProblem) {
            _ = try ClientCertificate(file: file, password: password, at: surroundings.wallClock())
        } catch {
            throw ProviderError(.invalid, "cloudConfig.aadClientCertPath: \"\(file)\": \(error)")
        }
    }

    private func assertion(
        _ file: String, _ password: Secret?, _ clientID: String, _ audience: String
    ) throws(ProviderError) -> Secret {
        do {
            let now = surroundings.wallClock()
            let certificate = try ClientCertificate(file: file, password: password, at: now)
            return try ClientAssertion.make(
                certificate: certificate, clientID: clientID, audience: audience, identifier: UUID().uuidString,
                at: now)
        } catch {
            throw ProviderError(
                .terminal, "cloudConfig.aadClientCertPath: \"\(file)\": \(error)", reason: .credentialRefused)
        }
    }

    private func token(_ file: String) throws(ProviderError) -> Secret {
        do throws(FileProblem) {
            let text = trimmedOfWhitespace(String(decoding: try readSmallFile(file), as: UTF8.self))
            guard !text.isEmpty else { throw FileProblem(text: "is empty") }
            return Secret(text)
        } catch {
            throw ProviderError(
                .terminal,
                "workload identity: token file \"\(file)\": \(error); it is named by AZURE_FEDERATED_TOKEN_FILE or "
                    + "cloudConfig.aadFederatedTokenFile, and mounted into pods with the label "
                    + "azure.workload.identity/use \"true\"",
                reason: .credentialRefused)
        }
    }

    private func asserting(_ assertion: Secret) -> [(String, String)] {
        [("client_assertion_type", ClientAssertion.type), ("client_assertion", assertion.value)]
    }

    private func url(_ tenant: String, _ environment: CloudEnvironment) -> String {
        "\(environment.authority)/\(tenant)/oauth2/v2.0/token"
    }

    private func form(
        _ tenant: String, _ clientID: String, _ proof: [(String, String)], _ environment: CloudEnvironment,
        deadline: HostInstant
    ) -> HTTPRequest {
        let fields =
            [("grant_type", "client_credentials"), ("client_id", clientID)] + proof
            + [("scope", "\(environment.audience)/.default")]
        return HTTPRequest(
            method: "POST", url: url(tenant, environment),
            headers: [
                HTTPField("content-type", "application/x-www-form-urlencoded"), HTTPField("user-agent", userAgent),
            ], body: Data(formEncoded(fields).utf8), deadline: deadline)
    }

    private func metadataRequest(
        _ identity: String?, _ environment: CloudEnvironment, deadline: HostInstant
    ) -> HTTPRequest {
        var fields = [("api-version", "2018-02-01"), ("resource", environment.audience)]
        if let identity {
            fields.append((identity.contains("/subscriptions/") ? "msi_res_id" : "client_id", identity))
        }
        return HTTPRequest(
            method: "GET", url: "\(Self.metadataService)/metadata/identity/oauth2/token?\(formEncoded(fields))",
            headers: [HTTPField("metadata", "true")], deadline: deadline)
    }
}

/// The `application/x-www-form-urlencoded` form; everything but the unreserved characters of RFC 3986 is escaped.
func formEncoded(_ fields: [(String, String)]) -> String {
    fields.map { "\(percentEncoded($0.0))=\(percentEncoded($0.1))" }.joined(separator: "&")
}

private func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF")
    var result = ""
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            result.append(Character(UnicodeScalar(byte)))
        default: result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
        }
    }
    return result
}
