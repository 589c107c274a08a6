import JSONModel

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

    /// `POST /{tenant}/oauth2/v2.0/token` with a client secret.
    mutating func issueToken(_ request: ARMRequest, now: Duration) -> ARMResponse {
        var response: ARMResponse
        let form = Self.formFields(String(decoding: request.body, as: UTF8.self))
        let identity = configuration.identity
        if request.method != "POST" {
            response = ARMResponse(405)
        } else if request.segments[0].lowercased() != identity.tenant.lowercased() {
            response = Self.tokenError(400, "invalid_request", 90002, "Tenant '\(request.segments[0])' not found.")
        } else if form["grant_type"] != "client_credentials" {
            response = Self.tokenError(
                400, "unsupported_grant_type", 70003, "grant_type must be client_credentials here.")
        } else if form["scope"]?.hasSuffix("/.default") != true {
            response = Self.tokenError(400, "invalid_scope", 70011, "scope must end in /.default.")
        } else if form["client_id"]?.lowercased() != identity.clientID.lowercased() {
            response = Self.tokenError(400, "unauthorized_client", 700016, "Application was not found in the tenant.")
        } else if form["client_secret"] != identity.clientSecret {
            response = Self.tokenError(401, "invalid_client", 7_000_215, "Invalid client secret provided.")
        } else {
            let token = "lab.\(identifiers.guid()).\(identifiers.guid())"
            tokens[token] = now + Self.tokenLifetime
            let lifetime = JSONValue.integer(Self.tokenLifetime.components.seconds)
            response = ARMResponse(
                200,
                [
                    "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime,
                    "access_token": .string(token),
                ])
        }
        response.operation = "Token"
        return response
    }

    private static func tokenError(_ status: Int, _ error: String, _ code: Int64, _ text: String) -> ARMResponse {
        ARMResponse(
            status,
            [
                "error": .string(error), "error_description": .string("AADSTS\(code): \(text)"),
                "error_codes": [.integer(code)], "correlation_id": "00000000-0000-0000-0000-000000000000",
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
        guard let end = tokens[String(parts[1])], end > now else {
            throw ARMFault(
                401, "InvalidAuthenticationToken", "The access token is invalid or has expired.", isGateway: true)
        }
    }
}
