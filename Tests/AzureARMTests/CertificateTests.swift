import AzureTestSupport
import Foundation
import JSONModel
import ProviderKit
import Synchronization
import Testing

@testable import AzureARM

/// A key and certificate of one test, made by the openssl command.
private struct TestCertificate {
    let folder: URL

    init(_ folder: URL, days: Int = 30) throws {
        self.folder = folder
        try run(
            [
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
                "-days", "\(days)", "-subj", "/CN=egress-gateway-test",
            ], in: folder)
        try run(["openssl", "x509", "-in", "cert.pem", "-pubkey", "-noout", "-out", "public.pem"], in: folder)
    }

    func pfx(_ name: String = "c.pfx", password: String, _ more: [String] = []) throws -> String {
        try run(
            [
                "openssl", "pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem", "-out", name, "-passout",
                "pass:\(password)",
            ] + more, in: folder)
        return folder.appending(path: name).path()
    }

    func path(_ name: String) -> String { folder.appending(path: name).path() }
}

private let now = Date()

private func read(_ file: String, _ password: String?, at: Date = now) throws -> ClientCertificate {
    try ClientCertificate(file: file, password: password.map(Secret.init), at: at)
}

private func problem(_ file: String, _ password: String?, at: Date = now) -> String {
    do {
        _ = try read(file, password, at: at)
        return "no problem"
    } catch {
        return "\(error)"
    }
}

@Suite struct ClientCertificateTests {
    @Test func `PKCS#12 and PEM are read, with a password and without`() async throws {
        try await withFolder { folder in
            let made = try TestCertificate(folder)
            let fromPFX = try read(made.pfx(password: "open sesame"), "open sesame")
            let bare = try read(made.pfx("bare.pfx", password: ""), nil)
            try run(["sh", "-c", "cat key.pem cert.pem > both.pem"], in: folder)
            let fromPEM = try read(made.path("both.pem"), nil)
            try run(
                [
                    "sh", "-c",
                    "openssl rsa -aes256 -in key.pem -passout pass:pw -out locked.pem && cat cert.pem >> locked.pem",
                ],
                in: folder)
            let locked = try read(made.path("locked.pem"), "pw")
            #expect(Set([fromPFX, bare, fromPEM, locked].map(\.chain)).count == 1)
            #expect(abs(fromPFX.notAfter.timeIntervalSince(now) - 30 * 86_400) < 120)
            #expect(
                problem(made.path("locked.pem"), nil) == "needs a password; aadClientCertPassword is not set"
                    || problem(made.path("locked.pem"), nil).hasPrefix("needs a password"))
            #expect(problem(made.path("locked.pem"), "no").contains("the password is wrong"))
        }
    }

    @Test func `a mistake is named by its cause`() async throws {
        try await withFolder { folder in
            let made = try TestCertificate(folder)
            let file = try made.pfx(password: "right")
            #expect(problem(file, "wrong").contains("aadClientCertPassword: the password is wrong"))
            #expect(problem(file, nil).hasPrefix("needs a password"))
            #expect(problem(made.path("none.pfx"), nil) == "there is no such file")
            try Data("nonsense".utf8).write(to: folder.appending(path: "text"))
            #expect(problem(made.path("text"), nil).hasPrefix("is neither PKCS#12 nor PEM"))
            #expect(problem(made.path("cert.pem"), nil) == "holds no private key")
            #expect(problem(made.path("key.pem"), nil) == "holds no certificate of its private key")
            let late = now.addingTimeInterval(31 * 86_400)
            #expect(problem(file, "right", at: late).hasPrefix("the certificate has ended on 20"))
            try run(
                ["openssl", "pkcs12", "-export", "-nokeys", "-in", "cert.pem", "-out", "n.pfx", "-passout", "pass:p"],
                in: folder)
            #expect(problem(made.path("n.pfx"), "p") == "holds no private key")
            try run(
                [
                    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", "ec.pem", "-out", "eccert.pem", "-subj", "/CN=x",
                ], in: folder)
            try run(["sh", "-c", "cat ec.pem eccert.pem > ecboth.pem"], in: folder)
            #expect(problem(made.path("ecboth.pem"), nil).hasPrefix("holds a key that is not RSA"))
        }
    }

    /// The openssl command is the judge of the signature.
    @Test func `an assertion has the right header and claims, and a signature that openssl accepts`() async throws {
        try await withFolder { folder in
            let made = try TestCertificate(folder)
            let certificate = try read(made.pfx(password: "p"), "p")
            let assertion = try ClientAssertion.make(
                certificate: certificate, clientID: "client", audience: "https://login.example/t/oauth2/v2.0/token",
                identifier: "id-1", at: Date(timeIntervalSince1970: 1_800_000_000))
            let parts = assertion.value.split(separator: ".").map(String.init)
            try #require(parts.count == 3)
            let header = try JSONValue(json: decoded(parts[0]))
            #expect(header["alg"] == "RS256" && header["typ"] == "JWT")
            let print256 = try run(
                ["openssl", "x509", "-in", "cert.pem", "-noout", "-fingerprint", "-sha256"], in: folder)
            let print1 = try run(["openssl", "x509", "-in", "cert.pem", "-noout", "-fingerprint", "-sha1"], in: folder)
            #expect(hexadecimal(try decoded(header[member: "x5t#S256"]?.text ?? "")) == digits(print256.output))
            #expect(hexadecimal(try decoded(header["x5t"]?.text ?? "")) == digits(print1.output))
            #expect(header["x5c"]?.elements.count == 1)
            let claims = try JSONValue(json: decoded(parts[1]))
            #expect(claims["aud"] == "https://login.example/t/oauth2/v2.0/token" && claims["jti"] == "id-1")
            #expect(claims["iss"] == "client" && claims["sub"] == "client")
            #expect(claims["nbf"] == 1_800_000_000 && claims["exp"] == 1_800_000_600)
            #expect(try isSigned(parts, folder))
            // A changed claim does not pass, so the judge is one.
            #expect(try !isSigned([parts[0], parts[1] + "x", parts[2]], folder))
        }
    }
}

/// Whether openssl takes the signature of a compact token for one of `public.pem`.
func isSigned(_ parts: [String], _ folder: URL) throws -> Bool {
    try Data("\(parts[0]).\(parts[1])".utf8).write(to: folder.appending(path: "signed"))
    try decoded(parts[2]).write(to: folder.appending(path: "signature"))
    let result = try run(
        ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "signed"], in: folder,
        allowFailure: true)
    return result.status == 0 && result.output.contains("Verified OK")
}

/// Base64url without padding.
func decoded(_ text: String) throws -> Data {
    let padding = String(repeating: "=", count: (4 - text.count % 4) % 4)
    let standard = text.replacing("-", with: "+").replacing("_", with: "/") + padding
    guard let data = Data(base64Encoded: standard) else { throw ProviderError(.invalid, "no base64url: \(text)") }
    return data
}

private func hexadecimal(_ data: Data) -> String { data.map { String(format: "%02X", $0) }.joined() }

private func digits(_ fingerprint: String) -> String {
    (fingerprint.split(separator: "=").last ?? "").filter { $0.isHexDigit }.uppercased()
}

/// The client against a token endpoint that believes nothing it cannot check.
@Suite struct SignInTests {
    private func fields(_ request: HTTPRequest) -> [String: String] {
        var components = URLComponents()
        components.percentEncodedQuery = String(decoding: request.body, as: UTF8.self)
        return Dictionary((components.queryItems ?? []).map { ($0.name, $0.value ?? "") }) { first, _ in first }
    }

    private func client(_ host: LapseHost, _ changes: [String: JSONValue?]) throws -> ARMClient {
        let standard: [String: JSONValue?] = ["resourceManagerEndpoint": nil, "aadClientSecret": nil]
        let data = try pluginConfiguration(endpoint: "", changes: standard.merging(changes) { _, new in new })
        let surroundings = Surroundings(environment: [:])
        return ARMClient(
            host: ProviderHost(host),
            configuration: try CloudConfiguration(pluginConfiguration: data, surroundings: surroundings),
            surroundings: surroundings)
    }

    @Test func `a certificate signs in, and a new file is used at the next token`() async throws {
        try await withFolder { folder in
            let made = try TestCertificate(folder)
            let file = try made.pfx(password: "hush-hush")
            let assertions = Mutex<[String]>([])
            let host = LapseHost { request, _ in
                guard request.method == "POST" else { return answer(200, "{}") }
                let form = fields(request)
                let assertion = form["client_assertion"] ?? ""
                assertions.withLock { $0.append(assertion) }
                let parts = assertion.split(separator: ".").map(String.init)
                let claims = parts.count == 3 ? try JSONValue(json: decoded(parts[1])) : [:]
                guard form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                    try isSigned(parts, folder), claims["aud"]?.text == request.url,
                    form["scope"] == "https://management.core.windows.net/.default"
                else {
                    return answer(401, #"{"error": "invalid_client", "error_codes": [700027]}"#)
                }
                return answer(200, #"{"access_token": "tok", "expires_in": 2}"#)
            }
            let arm = try client(host, ["aadClientCertPath": .string(file), "aadClientCertPassword": "hush-hush"])
            func get() async throws {
                _ = try await arm.get(
                    arm.configuration.subnetID, version: APIVersion.network, deadline: host.context().deadline)
            }
            try await get()
            #expect(host.requests.last?.headers.contains(HTTPField("authorization", "Bearer tok")) == true)
            // Renewed: another key in the file, which the endpoint does not know yet.
            let other = folder.appending(path: "other")
            try FileManager.default.createDirectory(at: other, withIntermediateDirectories: true)
            let renewed = try TestCertificate(other).pfx(password: "hush-hush")
            try FileManager.default.removeItem(atPath: file)
            try FileManager.default.moveItem(atPath: renewed, toPath: file)
            try await Task.sleep(for: .milliseconds(150))
            let error = await #expect(throws: ProviderError.self) { try await get() }
            #expect(error?.code == .terminal && error?.reason == "CredentialRefused")
            #expect(error?.message.contains("AADSTS700027") == true)
            #expect(assertions.withLock { $0.count } == 2)
            // And gone: the file and the cause are named.
            try FileManager.default.removeItem(atPath: file)
            let gone = await #expect(throws: ProviderError.self) { try await get() }
            #expect(gone?.message == "cloudConfig.aadClientCertPath: \"\(file)\": there is no such file")
            for secret in ["hush-hush", "tok"] + assertions.withLock({ $0 }) {
                #expect(!host.log.contains { $0.contains(secret) })
            }
        }
    }

    @Test func `a plugin with a certificate it cannot open does not start`() async throws {
        try await withFolder { folder in
            let file = try TestCertificate(folder).pfx(password: "right")
            let data = try pluginConfiguration(
                endpoint: "http://127.0.0.1:1",
                changes: [
                    "aadClientSecret": nil, "aadClientCertPath": .string(file), "aadClientCertPassword": "wrong",
                ])
            let error = #expect(throws: ProviderError.self) {
                _ = try ARMClient.make(host: ProviderHost(LapseHost()), pluginConfiguration: data)
            }
            #expect(error?.code == .invalid)
            #expect(error?.message.hasPrefix("cloudConfig.aadClientCertPath: \"\(file)\": cannot be opened") == true)
        }
    }

    @Test func `workload identity reads its token anew for each sign-in`() async throws {
        try await withFolder { folder in
            let file = folder.appending(path: "token")
            try Data("first-projected\n".utf8).write(to: file)
            let host = LapseHost { request, _ in
                guard request.method == "POST" else { return answer(200, "{}") }
                let form = fields(request)
                guard form["client_assertion"]?.hasSuffix("-projected") == true, form["client_secret"] == nil else {
                    let text = #"{"error": "invalid_request", "error_codes": [70021], "error_description": "no match"}"#
                    return answer(400, text)
                }
                return answer(200, #"{"access_token": "a-\#(form["client_assertion"] ?? "")", "expires_in": 2}"#)
            }
            let arm = try client(
                host, ["useFederatedWorkloadIdentityExtension": true, "aadFederatedTokenFile": .string(file.path())])
            func bearer() async throws -> String? {
                _ = try await arm.get(
                    arm.configuration.subnetID, version: APIVersion.network, deadline: host.context().deadline)
                return host.requests.last?.headers.first { $0.name == "authorization" }?.value
            }
            #expect(try await bearer() == "Bearer a-first-projected")
            try Data("second-projected".utf8).write(to: file)
            try await Task.sleep(for: .milliseconds(150))
            #expect(try await bearer() == "Bearer a-second-projected")
            try Data("foreign".utf8).write(to: file)
            try await Task.sleep(for: .milliseconds(150))
            let refused = await #expect(throws: ProviderError.self) { _ = try await bearer() }
            #expect(refused?.reason == "CredentialRefused" && refused?.message.contains("federated credential") == true)
            try Data("\n".utf8).write(to: file)
            let empty = await #expect(throws: ProviderError.self) { _ = try await bearer() }
            #expect(empty?.message.hasPrefix("workload identity: token file \"\(file.path())\": is empty") == true)
            #expect(!host.log.contains { $0.contains("-projected") || $0.contains("foreign") })
        }
    }
}
