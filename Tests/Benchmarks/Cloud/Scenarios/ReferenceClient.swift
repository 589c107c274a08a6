import Foundation
import JSONModel
import ProviderKit

/// The cloud as the reference's client library uses it: one call after the other, operations polled after Retry-After or
/// 5 seconds (upstream behaviour section 2.5), no budget and no batch.
actor ReferenceClient {
    private let host: VirtualHost
    private var token = ""

    init(_ host: VirtualHost) {
        self.host = host
    }

    static let network = "2025-05-01"
    static let compute = "2025-04-01"
    /// Network interfaces below a scale set.
    static let scaleSetNetwork = "2018-10-01"

    /// The resource; nil for 404.
    func get(_ path: String, _ version: String) async throws -> JSONValue? {
        let answer = try await send("GET", "\(path)?api-version=\(version)")
        if answer.status == 404 { return nil }
        return try Self.body(answer, "GET", path)
    }

    func list(_ path: String, _ version: String) async throws -> [JSONValue] {
        var elements: [JSONValue] = []
        var next: String? = "\(path)?api-version=\(version)"
        while let address = next {
            let body = try Self.body(try await send("GET", address), "GET", path)
            elements += body["value"]?.elements ?? []
            next = body["nextLink"]?.text
        }
        return elements
    }

    /// Writes, waits for the operation's end, and reads the outcome.
    func put(_ path: String, _ version: String, _ body: JSONValue, etag: String? = nil) async throws -> JSONValue {
        let answer = try await send("PUT", "\(path)?api-version=\(version)", body: body, etag: etag)
        _ = try Self.body(answer, "PUT", path)
        if let address = answer.header("azure-asyncoperation") {
            var last = answer
            repeat {
                try await host.sleep(for: .seconds(last.header("retry-after").flatMap { Int($0) } ?? 5))
                last = try await send("GET", address)
            } while try Self.body(last, "poll", path)["status"]?.text == "InProgress"
            guard try Self.body(last, "poll", path)["status"] == "Succeeded" else {
                throw BenchError("PUT \(path): the operation did not succeed")
            }
        }
        guard let result = try await get(path, version) else { throw BenchError("PUT \(path): is not there") }
        return result
    }

    /// Somebody else wrote in between (412).
    struct Conflict: Error {}

    private static func body(_ answer: HTTPResponse, _ method: String, _ path: String) throws -> JSONValue {
        if answer.status == 412 { throw Conflict() }
        guard (200...202).contains(answer.status) else {
            throw BenchError("\(method) \(path): \(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
        }
        return answer.body.isEmpty ? [:] : try JSONValue(json: answer.body)
    }

    private func send(
        _ method: String, _ address: String, body: JSONValue? = nil, etag: String? = nil
    ) async throws -> HTTPResponse {
        for _ in 0..<2 {
            if token.isEmpty { try await signIn() }
            var headers = [HTTPField("authorization", "Bearer \(token)")]
            if let etag { headers.append(HTTPField("if-match", etag)) }
            let answer = try await host.send(
                HTTPRequest(
                    method: method, url: address.hasPrefix("/") ? BenchCloud.endpoint + address : address,
                    headers: headers, body: try body?.json() ?? Data(), deadline: HostInstant(nanoseconds: .max)))
            guard answer.status == 401 else { return answer }
            token = ""
        }
        throw BenchError("\(method) \(address): the token is refused")
    }

    private func signIn() async throws {
        let form =
            "grant_type=client_credentials&client_id=00000000-0000-0000-0000-0000000000bb&client_secret=lab-secret"
            + "&scope=https%3A%2F%2Fmanagement.azure.com%2F.default"
        let answer = try await host.send(
            HTTPRequest(
                method: "POST",
                url: "\(BenchCloud.endpoint)/00000000-0000-0000-0000-0000000000aa/oauth2/v2.0/token",
                headers: [HTTPField("content-type", "application/x-www-form-urlencoded")], body: Data(form.utf8),
                deadline: HostInstant(nanoseconds: .max)))
        token = try Self.body(answer, "POST", "token")["access_token"]?.text ?? ""
    }
}
