import Foundation
import JSONModel
import Lab
import ProviderKit
import Synchronization

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// A host for providers under test: real HTTP by URLSession, the process's own clock, and a record of what was logged.
public final class TestHost: HostServices {
    private let lines = Mutex<[String]>([])
    private let start = ContinuousClock.now
    private let jump: Duration
    private let jumped = Mutex(false)
    private let advanced = Mutex(Duration.zero)
    private let isStopped: Bool

    /// - Parameters:
    ///   - clockJumpAfterWrite: how far the host's clock leaps once the first PUT was answered; lets a test be late
    ///     without waiting.
    ///   - isStopped: time goes by through ``advance(by:)`` only.
    public init(clockJumpAfterWrite: Duration = .zero, isStopped: Bool = false) {
        jump = clockJumpAfterWrite
        self.isStopped = isStopped
    }

    /// Everything that was logged so far, metadata included.
    public var log: [String] { lines.withLock { $0 } }

    public func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {
        lines.withLock { $0.append("\(level) \(message) \(metadata)") }
    }

    public func now() -> HostInstant {
        let elapsed = (isStopped ? .zero : ContinuousClock.now - start) + advanced.withLock { $0 }
        return HostInstant(nanoseconds: 0).advanced(by: jumped.withLock { $0 } ? elapsed + jump : elapsed)
    }

    /// Lets time go by without waiting.
    public func advance(by duration: Duration) {
        advanced.withLock { $0 += duration }
    }

    public func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        guard let url = URL(string: request.url) else {
            throw ProviderError(.invalid, "url: \"\(request.url)\" is no URL")
        }
        var converted = URLRequest(url: url)
        converted.httpMethod = request.method
        converted.httpBody = request.body.isEmpty ? nil : request.body
        for field in request.headers { converted.setValue(field.value, forHTTPHeaderField: field.name) }
        do {
            let (data, response) = try await URLSession.shared.data(for: converted)
            guard let http = response as? HTTPURLResponse else { throw URLError(.badServerResponse) }
            if request.method == "PUT" { jumped.withLock { $0 = true } }
            let headers = http.allHeaderFields.map { HTTPField("\($0.key)".lowercased(), "\($0.value)") }
            return HTTPResponse(status: http.statusCode, headers: headers, body: data)
        } catch {
            throw ProviderError(.retry, "no response: \(error)")
        }
    }

    /// The circumstances of a call that may take `seconds`.
    public func context(seconds: Int = 30) -> CallContext {
        CallContext(deadline: now().advanced(by: .seconds(seconds)), host: ProviderHost(self))
    }
}

/// A plugin configuration for the simulator at `endpoint`, with changes to single fields; nil removes a field.
public func pluginConfiguration(endpoint: String, changes: [String: JSONValue?] = [:]) throws -> Data {
    var fields: JSONValue = [
        "cloud": "AzurePublicCloud", "location": "labregion",
        "subscriptionId": .string(ARMTestClient.subscription), "resourceGroup": "kegw-lab", "vnetName": "kegw-vnet",
        "subnetName": "gateways", "tenantId": "00000000-0000-0000-0000-0000000000aa",
        "aadClientId": "00000000-0000-0000-0000-0000000000bb", "aadClientSecret": "lab-secret",
        "resourceManagerEndpoint": .string(endpoint),
    ]
    for (name, value) in changes { fields[name] = value }
    return try (["cloudConfig": fields] as JSONValue).json()
}
