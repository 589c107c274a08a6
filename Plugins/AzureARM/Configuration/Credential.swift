import ProviderKit

/// How this process proves who it is.
public enum Credential: Sendable, Equatable {
    /// By a token that Kubernetes projects into `tokenFile` and Microsoft Entra trusts (workload identity).
    case federatedToken(tenant: String, clientID: String, tokenFile: String)
    /// By the instance metadata service; `identity` is a client id, or a resource id if it contains `/subscriptions/`;
    /// nil: the system-assigned one.
    case managedIdentity(identity: String?)
    case clientSecret(tenant: String, clientID: String, secret: Secret)
    /// By a certificate with its key in `file`, PKCS#12 or PEM.
    case clientCertificate(tenant: String, clientID: String, file: String, password: Secret?)

    /// For logs; holds no secret.
    public var kind: String {
        switch self {
        case .federatedToken: "workload identity"
        case .managedIdentity: "managed identity"
        case .clientSecret: "client secret"
        case .clientCertificate: "client certificate"
        }
    }

    /// Where the webhook of workload identity mounts the token.
    static let defaultTokenFile = "/var/run/secrets/azure/tokens/azure-identity-token"

    /// Picks the method in the order of the Go client library (azclient `auth.go`): federated token, managed identity,
    /// client secret, client certificate. `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET` and
    /// `AZURE_FEDERATED_TOKEN_FILE` win over the fields.
    init(_ reader: FieldReader, _ surroundings: Surroundings) throws(ProviderError) {
        let variables = CredentialVariables(surroundings.environment)
        let tenant = try Self.first(variables.tenant, reader, "tenantId")
        let clientID = try Self.first(variables.client, reader, "aadClientId")
        let identity = try reader.text("userAssignedIdentityID")
        if let file = try Self.tokenFile(reader, variables) {
            self = .federatedToken(
                tenant: try Self.needed(tenant, "tenantId", "AZURE_TENANT_ID"),
                clientID: try Self.needed(clientID, "aadClientId", "AZURE_CLIENT_ID"), tokenFile: file)
            return
        }
        if try reader.flag("useManagedIdentityExtension") {
            self = .managedIdentity(identity: identity)
            return
        }
        if let identity {
            throw ProviderError(
                .invalid,
                "cloudConfig.userAssignedIdentityID: \"\(identity)\" is only allowed with "
                    + "useManagedIdentityExtension true")
        }
        if let secret = try Self.first(variables.secret, reader, "aadClientSecret") {
            self = .clientSecret(
                tenant: try Self.needed(tenant, "tenantId", "AZURE_TENANT_ID"),
                clientID: try Self.needed(clientID, "aadClientId", "AZURE_CLIENT_ID"), secret: Secret(secret))
            return
        }
        guard let file = try reader.text("aadClientCertPath") else { throw try Self.nothing(reader) }
        self = .clientCertificate(
            tenant: try Self.needed(tenant, "tenantId", "AZURE_TENANT_ID"),
            clientID: try Self.needed(clientID, "aadClientId", "AZURE_CLIENT_ID"), file: file,
            password: try reader.text("aadClientCertPassword").map(Secret.init))
    }

    private static func first(
        _ variable: String?, _ reader: FieldReader, _ field: String
    ) throws(ProviderError) -> String? {
        if let variable { return variable }
        return try reader.text(field)
    }

    private static func tokenFile(
        _ reader: FieldReader, _ variables: CredentialVariables
    ) throws(ProviderError) -> String? {
        if let file = variables.tokenFile { return file }
        guard try reader.flag("useFederatedWorkloadIdentityExtension") else { return nil }
        return try reader.text("aadFederatedTokenFile") ?? defaultTokenFile
    }

    private static func needed(
        _ value: String?, _ field: String, _ variable: String
    ) throws(ProviderError) -> String {
        guard let value else {
            throw ProviderError(
                .invalid,
                "cloudConfig.\(field): is missing, and so is the environment's \(variable); one of them must be set")
        }
        return value
    }

    private static func nothing(_ reader: FieldReader) throws(ProviderError) -> ProviderError {
        for field in ["aadMSIDataPlaneIdentityPath", "auxiliaryTokenProvider"] where try reader.text(field) != nil {
            return ProviderError(
                .unsupported,
                "cloudConfig.\(field): is a credential of Azure's own services, which is not supported; use a managed "
                    + "identity, workload identity, a client secret or a client certificate")
        }
        return ProviderError(
            .invalid,
            "cloudConfig.aadClientSecret: is missing; one of useManagedIdentityExtension, "
                + "useFederatedWorkloadIdentityExtension, aadClientSecret and aadClientCertPath must be set")
    }
}

/// The variables that workload identity's webhook and the Azure SDKs set; an empty one counts as absent.
private struct CredentialVariables {
    let tenant: String?
    let client: String?
    let secret: String?
    let tokenFile: String?

    init(_ environment: [String: String]) {
        func value(_ name: String) -> String? {
            environment[name].map(trimmedOfWhitespace).flatMap { $0.isEmpty ? nil : $0 }
        }
        tenant = value("AZURE_TENANT_ID")
        client = value("AZURE_CLIENT_ID")
        secret = value("AZURE_CLIENT_SECRET")
        tokenFile = value("AZURE_FEDERATED_TOKEN_FILE")
    }
}
