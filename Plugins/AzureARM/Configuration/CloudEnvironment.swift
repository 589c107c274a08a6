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

    /// The clouds of the Azure SDKs, by lower-case name. An unknown name means the public cloud, as in the Go client
    /// library.
    public static func named(_ name: String) -> CloudEnvironment {
        switch name.lowercased() {
        case "azurechinacloud":
            CloudEnvironment(
                resourceManager: "https://management.chinacloudapi.cn", authority: "https://login.chinacloudapi.cn",
                audience: "https://management.core.chinacloudapi.cn")
        case "azureusgovernmentcloud", "azureusgovernment":
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

    /// Reads a discovery document (`/metadata/endpoints`, version 2019-05-01).
    init(discovery: JSONValue, cloud: String, endpoint: String) throws {
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

    public init(resourceManager: String, authority: String, audience: String) {
        self.resourceManager = resourceManager
        self.authority = authority
        self.audience = audience
    }
}
