import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// Where a cloud's services are. None of the addresses ends in a slash.
public struct CloudEnvironment: Sendable, Equatable {
    public var resourceManager: String
    public var authority: String
    /// Audience of tokens for the resource manager.
    public var audience: String

    public init(resourceManager: String, authority: String, audience: String) {
        self.resourceManager = resourceManager
        self.authority = authority
        self.audience = audience
    }

    /// The clouds of the Azure SDKs, by lower-case name. An unknown name means the public cloud, as in the Go client
    /// library.
    public static func named(_ name: String) -> CloudEnvironment {
        switch canonical(name) {
        case "azurechinacloud":
            CloudEnvironment(
                resourceManager: "https://management.chinacloudapi.cn", authority: "https://login.chinacloudapi.cn",
                audience: "https://management.core.chinacloudapi.cn")
        case "azureusgovernment":
            CloudEnvironment(
                resourceManager: "https://management.usgovcloudapi.net", authority: "https://login.microsoftonline.us",
                audience: "https://management.core.usgovcloudapi.net")
        default:
            CloudEnvironment(
                resourceManager: "https://management.azure.com", authority: "https://login.microsoftonline.com",
                audience: "https://management.core.windows.net")
        }
    }

    /// Names of one cloud count as equal.
    private static func canonical(_ name: String) -> String {
        switch name.lowercased() {
        case "azurepubliccloud", "azurecloud": "azurecloud"
        case "azureusgovernmentcloud", "azureusgovernment": "azureusgovernment"
        default: name.lowercased()
        }
    }

    /// Whether the name is one of those that the Go client library knows.
    static func isKnown(_ name: String) -> Bool {
        ["azurecloud", "azurechinacloud", "azureusgovernment"].contains(canonical(name)) || isStack(name)
    }

    /// Whether the addresses come from a file that the environment names.
    static func isStack(_ name: String) -> Bool { name.lowercased() == "azurestackcloud" }

    /// Where a configuration's cloud is, as far as no discovery is needed.
    ///
    /// - Parameter discovered: what the resource manager told about itself, if it was asked.
    init(_ configuration: CloudConfiguration, discovered: CloudEnvironment?) {
        self = discovered ?? .named(configuration.cloud)
        let overrides = configuration.endpointOverrides
        resourceManager = overrides.resourceManager ?? resourceManager
        audience = overrides.audience ?? audience
        authority = overrides.authority ?? authority
        if let host = overrides.workloadAuthority, discovered == nil, case .federatedToken = configuration.credential {
            authority = host
        }
    }

    /// Reads a discovery document (`/metadata/endpoints`, version 2019-05-01).
    init(discovery: JSONValue, cloud: String, endpoint: String) throws(ProviderError) {
        let entries = discovery.elements
        guard let entry = entries.first(where: { Self.canonical($0["name"]?.text ?? "") == Self.canonical(cloud) })
        else {
            let names = entries.compactMap { $0["name"]?.text }.joined(separator: ", ")
            throw ProviderError(
                .invalid, "cloudConfig.cloud: \"\(cloud)\" is not offered by \(endpoint); it offers \(names)")
        }
        guard let authority = entry["authentication.loginEndpoint"]?.text,
            let audience = entry["authentication.audiences"]?.elements.first?.text
        else {
            throw ProviderError(.retry, "\(endpoint)/metadata/endpoints: names no login endpoint and audience")
        }
        resourceManager = trimmingSlash(entry["resourceManager"]?.text ?? endpoint)
        self.authority = trimmingSlash(authority)
        self.audience = trimmingSlash(audience)
    }
}

/// Addresses that the environment gives: the file of a cloud of its own, and the authority of workload identity.
///
/// As in the Go client library (azclient `arm_conf.go`), the file counts for the cloud AzureStackCloud alone, and
/// `AZURE_AUTHORITY_HOST` only where the cloud's name says nothing.
public struct EndpointOverrides: Sendable, Equatable {
    public var resourceManager: String?
    public var authority: String?
    public var audience: String?
    /// For workload identity in a cloud of an unknown name.
    public var workloadAuthority: String?

    static let variable = "AZURE_ENVIRONMENT_FILEPATH"

    public init() {}

    init(cloud: String, _ environment: [String: String]) throws(ProviderError) {
        if !CloudEnvironment.isKnown(cloud), let host = environment["AZURE_AUTHORITY_HOST"], !host.isEmpty {
            workloadAuthority = try endpoint(host, "AZURE_AUTHORITY_HOST")
        }
        guard CloudEnvironment.isStack(cloud), let path = environment[Self.variable], !path.isEmpty else { return }
        let document: JSONValue
        do throws(FileProblem) {
            let data = try readSmallFile(path)
            guard let parsed = try? JSONValue(json: data), parsed.members != nil else {
                throw FileProblem(text: "holds no JSON object")
            }
            document = parsed
        } catch {
            throw ProviderError(.invalid, "\(Self.variable): \"\(path)\": \(error)")
        }
        let reader = FieldReader(document)
        func address(_ field: String) throws(ProviderError) -> String? {
            guard let text = try reader.text(field) else { return nil }
            return try endpoint(text, "\(path): \(field)")
        }
        resourceManager = try address("resourceManagerEndpoint")
        authority = try address("activeDirectoryEndpoint")
        audience = try reader.text("tokenAudience").map(trimmingSlash)
    }
}
