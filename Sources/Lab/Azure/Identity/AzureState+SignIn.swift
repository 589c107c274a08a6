import JSONModel

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The token endpoint, the discovery document, and the check of bearer tokens.
extension AzureState {
    /// `GET /metadata/endpoints`: where everything is; the seam by which a client finds this simulator.
    func metadataEndpoints(_ request: ARMRequest) -> ARMResponse {
        let base = request.base
        var response = ARMResponse(
            200,
            [
                [
                    "name": "AzureCloud", "resourceManager": .string("\(base)/"),
                    "authentication": [
                        "loginEndpoint": .string("\(base)/"), "audiences": [.string("\(base)/")],
                        "tenant": .string(configuration.identity.tenant), "identityProvider": "AAD",
                    ],
                    "suffixes": ["storage": "core.windows.net", "acrLoginServer": "azurecr.io"],
                ]
            ])
        response.operation = "Metadata_Endpoints"
        return response
    }

    /// Everything that is asked without a token; nil for the rest.
    mutating func answerSignIn(_ request: ARMRequest, _ path: [String], now: Duration) -> ARMResponse? {
        if path == ["metadata", "endpoints"] { return metadataEndpoints(request) }
        if path.count == 4, Array(path[1...]) == ["oauth2", "v2.0", "token"] { return issueToken(request, now: now) }
        if path.count == 4, Array(path[1...]) == ["v2.0", ".well-known", "openid-configuration"] {
            return openIDConfiguration(request)
        }
        return nil
    }

    /// Where the tenant's token endpoint is; sign-in libraries ask before they sign in.
    private func openIDConfiguration(_ request: ARMRequest) -> ARMResponse {
        let authority = "\(request.base)/\(request.segments[0])"
        var response: ARMResponse
        if request.segments[0].lowercased() == configuration.identity.tenant.lowercased() {
            response = ARMResponse(
                200,
                [
                    "issuer": .string("\(authority)/v2.0"), "token_endpoint": .string("\(authority)/oauth2/v2.0/token"),
                    "authorization_endpoint": .string("\(authority)/oauth2/v2.0/authorize"),
                    "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                    "response_types_supported": ["token"], "subject_types_supported": ["pairwise"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                ])
        } else {
            response = Self.render(.unknownTenant(request.segments[0]))
        }
        response.operation = "OpenID_Configuration"
        return response
    }

    /// `POST /{tenant}/oauth2/v2.0/token` with a client secret or an assertion.
    mutating func issueToken(_ request: ARMRequest, now: Duration) -> ARMResponse {
        var response: ARMResponse
        if request.method != "POST" {
            response = ARMResponse(405)
        } else {
            do {
                try checkSignIn(request, now: now)
                let lifetime = JSONValue.integer(configuration.identity.tokenLifetime.components.seconds)
                response = ARMResponse(
                    200,
                    [
                        "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime,
                        "access_token": .string(makeToken(now: now)),
                    ])
            } catch {
                response = Self.render(error)
            }
        }
        response.operation = "Token"
        return response
    }

    private func checkSignIn(_ request: ARMRequest, now: Duration) throws(SignInRefusal) {
        let form = Self.formFields(String(decoding: request.body, as: UTF8.self))
        let identity = configuration.identity
        guard request.segments[0].lowercased() == identity.tenant.lowercased() else {
            throw .unknownTenant(request.segments[0])
        }
        guard form["grant_type"] == "client_credentials" else {
            throw SignInRefusal(
                400, "unsupported_grant_type", 70003, "grant_type must be client_credentials here.")
        }
        guard form["scope"]?.split(separator: " ").contains(where: { $0.hasSuffix("/.default") }) == true else {
            throw SignInRefusal(400, "invalid_scope", 70011, "scope must end in /.default.")
        }
        guard form["client_id"]?.lowercased() == identity.clientID.lowercased() else {
            throw SignInRefusal(
                400, "unauthorized_client", 700_016, "Application was not found in the tenant.")
        }
        guard let assertion = form["client_assertion"] else {
            guard let secret = form["client_secret"] else {
                throw SignInRefusal(
                    401, "invalid_client", 7_000_218,
                    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
            }
            guard secret == identity.clientSecret else {
                throw SignInRefusal(401, "invalid_client", 7_000_215, "Invalid client secret provided.")
            }
            return
        }
        guard form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" else {
            throw SignInRefusal(
                400, "invalid_request", 900_144,
                "client_assertion_type must be "
                    + "urn:ietf:params:oauth:client-assertion-type:jwt-bearer.")
        }
        try assertions.check(
            assertion, identity: identity,
            audience: "\(request.base)/\(request.segments[0])/oauth2/v2.0/token", at: epoch + now / .seconds(1))
    }

    /// A token that opens this simulator until it ends. It means nothing anywhere else.
    mutating func makeToken(now: Duration) -> String {
        let token = "lab.\(identifiers.guid()).\(identifiers.guid())"
        if tokens.count >= Self.keptTokens, let oldest = tokens.min(by: { $0.value < $1.value }) {
            tokens[oldest.key] = nil
        }
        tokens[token] = now + configuration.identity.tokenLifetime
        return token
    }

    private static func render(_ refusal: SignInRefusal) -> ARMResponse {
        ARMResponse(
            refusal.status,
            [
                "error": .string(refusal.error),
                "error_description": .string("AADSTS\(refusal.code): \(refusal.message)"),
                "error_codes": [.integer(Int64(refusal.code))],
                "correlation_id": "00000000-0000-0000-0000-000000000000",
            ])
    }

    /// The fields of an `application/x-www-form-urlencoded` body.
    static func formFields(_ text: String) -> [String: String] {
        var fields: [String: String] = [:]
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let decoded = parts.map { ARMRequest.percentDecoded($0, plusIsSpace: true) }
            fields[decoded[0]] = decoded.count > 1 ? decoded[1] : ""
        }
        return fields
    }

    func authorize(_ request: ARMRequest, now: Duration) throws(ARMFault) {
        guard let header = request.headers["authorization"] else {
            throw ARMFault(
                401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.",
                isGateway: true)
        }
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else {
            throw ARMFault(
                401, "AuthenticationFailedInvalidHeader",
                "Authentication failed. The 'Authorization' header is provided in an invalid format.", isGateway: true)
        }
        guard let end = tokens[String(parts[1])] else {
            throw ARMFault(401, "InvalidAuthenticationToken", "The access token is invalid.", isGateway: true)
        }
        guard end > now else {
            throw ARMFault(
                401, "ExpiredAuthenticationToken",
                "The access token expiry time has passed. Ensure you are using a valid access token.", isGateway: true)
        }
    }
}
