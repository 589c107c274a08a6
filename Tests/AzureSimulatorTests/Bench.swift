import AzureTestSupport
import Foundation
import JSONModel

@testable import Lab

/// The simulator's state with a clock of the test's: no waiting, no race with the machine's load.
struct Bench {
    var state: AzureState
    /// A token of the test's own.
    private(set) var token = ""

    static let tenant = "00000000-0000-0000-0000-0000000000aa"
    static let client = "00000000-0000-0000-0000-0000000000bb"

    init(_ configuration: AzureSimulator.Configuration) throws {
        state = try AzureState(configuration, epoch: Date(timeIntervalSince1970: 1_000_000))
        let answer = signIn(["client_secret": configuration.identity.clientSecret], at: .zero)
        token = answer.body?["access_token"]?.text ?? ""
    }

    init(latency: Duration) throws {
        try self.init(.test(latency: latency))
    }

    /// Asks for a token with these fields besides those that are always the same.
    mutating func signIn(_ fields: [String: String], at now: Duration) -> ARMResponse {
        let all = ["grant_type": "client_credentials", "client_id": Self.client, "scope": "x/.default"]
            .merging(fields) { $1 }
        let form = all.map { "\($0)=\(ARMRequest.percentEncoded($1))" }.joined(separator: "&")
        return call("POST", "/\(Self.tenant)/oauth2/v2.0/token", raw: Data(form.utf8), at: now)
    }

    /// Sends a request; one that names no api-version gets that of its provider.
    mutating func call(
        _ method: String, _ path: String, body: JSONValue? = nil, raw: Data? = nil,
        headers: [String: String] = [:], at now: Duration
    ) -> ARMResponse {
        state.advance(to: now)
        var request = Self.request(method, path, raw ?? (try? body?.json()) ?? Data())
        request.headers = ["authorization": "Bearer \(token)"].merging(headers) { $1 }
        if request.query["api-version"] == nil {
            request.query["api-version"] =
                path.contains("Microsoft.Compute") ? ARMTestClient.computeVersion : ARMTestClient.networkVersion
        }
        return state.respond(to: request, now: now)
    }

    /// Asks the metadata service.
    mutating func metadata(
        _ path: String, method: String = "GET", headers: [String: String] = ["metadata": "true"], at now: Duration
    ) -> ARMResponse {
        state.advance(to: now)
        var request = Self.request(method, path, Data())
        request.headers = headers
        return state.respondMetadata(to: request, now: now)
    }

    private static func request(_ method: String, _ path: String, _ body: Data) -> ARMRequest {
        let address = path.replacing("http://sim", with: "")
        let parts = address.split(separator: "?", maxSplits: 1)
        var query: [String: String] = [:]
        for pair in (parts.count > 1 ? parts[1] : "").split(separator: "&") {
            let field = pair.split(separator: "=", maxSplits: 1).map { ARMRequest.percentDecoded($0) }
            query[field[0].lowercased()] = field.count > 1 ? field[1] : ""
        }
        return ARMRequest(
            method: method, segments: parts[0].split(separator: "/").map { ARMRequest.percentDecoded($0) },
            query: query, headers: [:], body: body, base: "http://sim")
    }
}

func header(_ response: ARMResponse, _ name: String) -> String? {
    response.headers.first { $0.name.lowercased() == name.lowercased() }?.value
}

extension ARMResponse {
    /// The code of a refusal.
    var code: String? { body?["error.code"]?.text }
}
