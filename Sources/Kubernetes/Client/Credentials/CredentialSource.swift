/// What one request is authenticated with.
struct Credentials: Sendable, Equatable {
    /// Sent as a bearer token, if there is one.
    var token: String?
    /// Shown in the TLS handshake, if there is one.
    var certificate: ClientCertificate?
}

/// A certificate with its key, both PEM.
struct ClientCertificate: Sendable, Hashable {
    var chain: [UInt8]
    var key: [UInt8]
}

/// Knows the credentials of the moment. Any task may ask.
protocol CredentialSource: Sendable {
    /// What to send now.
    ///
    /// - Throws: ``KubernetesError`` if there are none; `CancellationError`.
    func current() async throws -> Credentials
    /// The server refused these credentials (401). Returns whether ``current()`` has others now.
    func refresh(refused: Credentials) async -> Bool
    /// No credentials are needed any more; whoever waits for some gets an error.
    func stop() async
}

/// Credentials that do not change.
struct FixedCredentials: CredentialSource {
    var credentials: Credentials

    func current() -> Credentials { credentials }
    func refresh(refused: Credentials) -> Bool { false }
    func stop() {}
}

extension ClientConfiguration {
    func makeCredentialSource() -> any CredentialSource {
        var certificate: ClientCertificate?
        if let clientCertificate, let clientKey {
            certificate = ClientCertificate(chain: clientCertificate, key: clientKey)
        }
        return switch credential {
        case .none: FixedCredentials(credentials: Credentials(certificate: certificate))
        case .token(let token): FixedCredentials(credentials: Credentials(token: token, certificate: certificate))
        case .tokenFile(let path): TokenFileSource(path: path, certificate: certificate)
        case .exec(let plugin): ExecCredentialSource(plugin: plugin)
        }
    }
}
