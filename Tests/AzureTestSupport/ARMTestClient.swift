import Foundation
import JSONModel
import Lab
import Logging

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// One HTTP answer of the simulator.
public struct ARMTestAnswer: Sendable {
    public let status: Int
    /// Names in lower case.
    public let headers: [String: String]
    public let body: JSONValue?

    public var code: String? { body?["error.code"]?.text }
}

/// A plain HTTP client of the simulator: what a test sees is what went over the wire.
public struct ARMTestClient: Sendable {
    public let endpoint: String
    public var token: String?

    public init(endpoint: String, token: String? = nil) {
        self.endpoint = endpoint
        self.token = token
    }

    public static let subscription = "00000000-0000-0000-0000-000000000001"
    public static let group = "/subscriptions/\(subscription)/resourceGroups/kegw-lab"
    public static let network = "\(group)/providers/Microsoft.Network"
    public static let compute = "\(group)/providers/Microsoft.Compute"
    public static let scaleSet = "\(compute)/virtualMachineScaleSets/gateways"
    public static let loadBalancer = "\(network)/loadBalancers/kubeegressgateway-ilb"
    public static let gatewaysSubnet = "\(network)/virtualNetworks/kegw-vnet/subnets/gateways"
    public static let machines = "\(compute)/virtualMachines"
    public static let networkInterfaces = "\(network)/networkInterfaces"
    public static let networkVersion = "2025-05-01"
    public static let computeVersion = "2025-04-01"

    /// A request to a path of the simulator, or to an absolute URL that it handed out.
    public func call(
        _ method: String, _ path: String, version: String? = nil, body: JSONValue? = nil, raw: Data? = nil,
        headers: [String: String] = [:]
    ) async throws -> ARMTestAnswer {
        var text = path.hasPrefix("http://") ? path : endpoint + path
        if let version { text += (text.contains("?") ? "&" : "?") + "api-version=\(version)" }
        guard let url = URL(string: text) else { throw URLError(.badURL) }
        var request = URLRequest(url: url)
        request.httpMethod = method
        request.httpBody = try raw ?? body?.json()
        if let token { request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization") }
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let (data, response) = try await URLSession.shared.data(for: request)
        guard let http = response as? HTTPURLResponse else { throw URLError(.badServerResponse) }
        var fields: [String: String] = [:]
        for (name, value) in http.allHeaderFields { fields["\(name)".lowercased()] = "\(value)" }
        return ARMTestAnswer(
            status: http.statusCode, headers: fields, body: data.isEmpty ? nil : try JSONValue(json: data))
    }

    /// A write, followed by polling its operation to the end.
    ///
    /// - Returns: the first answer and the last status body.
    public func write(
        _ method: String, _ path: String, version: String, body: JSONValue? = nil, headers: [String: String] = [:]
    ) async throws -> (first: ARMTestAnswer, last: ARMTestAnswer?) {
        let first = try await call(method, path, version: version, body: body, headers: headers)
        guard let url = first.headers["azure-asyncoperation"] else { return (first, nil) }
        for _ in 0..<500 {
            let poll = try await call("GET", url)
            if poll.body?["status"]?.text != "InProgress" { return (first, poll) }
            try await Task.sleep(for: .milliseconds(10))
        }
        return (first, nil)
    }

    /// This client with a token of its own.
    public func signedIn(
        tenant: String = "00000000-0000-0000-0000-0000000000aa", secret: String = "lab-secret"
    ) async throws -> ARMTestClient {
        let form =
            "grant_type=client_credentials&client_id=00000000-0000-0000-0000-0000000000bb"
            + "&client_secret=\(secret)&scope=https%3A%2F%2Fmanagement.azure.com%2F.default"
        let answer = try await call(
            "POST", "/\(tenant)/oauth2/v2.0/token", raw: Data(form.utf8),
            headers: ["Content-Type": "application/x-www-form-urlencoded"])
        var copy = self
        copy.token = answer.body?["access_token"]?.text
        return copy
    }
}

extension AzureSimulator.Configuration {
    /// The lab's own subscription, with fast operations.
    public static func test(
        latency: Duration = .milliseconds(30), publicAddressSpace: String = "203.0.113.0/24",
        subnet: String = "10.243.0.0/24", computerNames: [String] = ["gateway-1", "gateway-2"],
        identity: AzureSimulator.Identity = .init(), machinePools: [AzureSimulator.MachinePool] = [],
        limits: AzureSimulator.Limits = .azure, rateLimits: AzureSimulator.RateLimits = .generous,
        pageSize: Int = 100, metadata: AzureSimulator.Metadata? = nil, subnetIPv6: String? = nil,
        upgradePolicy: AzureSimulator.ScaleSet.UpgradePolicy = .manual
    ) -> Self {
        Self(
            subscription: ARMTestClient.subscription, resourceGroup: "kegw-lab", location: "labregion",
            virtualNetwork: .init(
                name: "kegw-vnet", addressPrefix: "10.243.0.0/16",
                subnets: [
                    .init(name: "gateways", addressPrefix: subnet, addressPrefixIPv6: subnetIPv6),
                    .init(name: "workers", addressPrefix: "10.243.4.0/24"),
                ]),
            scaleSets: [
                .init(
                    name: "gateways",
                    tags: ["aks-managed-poolName": "gwpool", "aks-managed-gatewayIPPrefixSize": "31"],
                    computerNames: computerNames, subnet: "gateways", upgradePolicy: upgradePolicy,
                    uniqueID: "5f1b9f86-5f5c-4c3b-9a55-0d5a0c6a7e11")
            ], machinePools: machinePools, publicAddressSpace: publicAddressSpace, identity: identity,
            latencies: .uniform(latency), limits: limits, rateLimits: rateLimits, pageSize: pageSize,
            metadata: metadata, seed: 1)
    }
}

/// Runs a simulator on a port of the kernel's choice for the length of `body`.
public func withSimulator(
    _ configuration: AzureSimulator.Configuration = .test(), recordingTo path: String? = nil,
    _ body: @Sendable (AzureSimulator, ARMTestClient) async throws -> Void
) async throws {
    var logger = Logger(label: "azure-simulator-test")
    logger.logLevel = .warning
    let recorder = try path.map { try ExchangeRecorder(path: $0, logger: logger) }
    let simulator = try AzureSimulator(configuration: configuration, logger: logger, recorder: recorder)
    let server = Task { try await simulator.run() }
    defer { server.cancel() }
    try await body(simulator, ARMTestClient(endpoint: try await simulator.endpoint()).signedIn())
    await recorder?.flush()
}

/// Why a simulator with this configuration cannot be made; nil if it can.
public func startError(_ configuration: AzureSimulator.Configuration) -> AzureSimulator.StartError? {
    do {
        _ = try AzureSimulator(configuration: configuration, logger: Logger(label: "azure-simulator-test"))
        return nil
    } catch {
        return error as? AzureSimulator.StartError
    }
}
