import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The cloud configuration of the Go system (`azure.json`): the same fields, matched without case; fields of other
/// readers of the file are ignored (upstream behaviour section 6.1).
public struct CloudConfiguration: Sendable, Equatable {
    public var cloud: String
    public var location: String
    public var subscriptionID: String
    /// Of scale sets and managed prefixes.
    public var resourceGroup: String
    public var virtualNetwork: String
    public var virtualNetworkResourceGroup: String
    public var subnet: String
    public var loadBalancer: String
    public var loadBalancerResourceGroup: String
    public var userAgent: String
    /// Where the resource manager is, if not where the cloud's name says; without a slash at the end.
    public var resourceManagerEndpoint: String?
    /// Addresses that the environment names for a cloud of its own.
    public var endpointOverrides: EndpointOverrides
    public var credential: Credential
    /// What the client does about failures that pass and about its own pace.
    public var pace: RequestPace
    /// Resources that belong to no configuration and that one `prune` call may delete.
    public var pruneLimit = CloudConfiguration.defaultPruneLimit
    /// What was read and does not do what its writer may expect; for the log.
    public var notices: [String]

    /// The settings of a plugin's entry.
    static let pluginFields = ["cloudConfig", "pruneLimit"]
    /// Few enough to be made again by hand if somebody gave a daemon the wrong cluster.
    public static let defaultPruneLimit = 10
    static let maximumPruneLimit = 10_000

    /// Reads a plugin's configuration: `{"cloudConfig": PATH}` or `{"cloudConfig": {...fields...}}`, and beside it
    /// `pruneLimit`.
    ///
    /// - Throws: ``ProviderError`` with `invalid` that names the field, its value and what is allowed.
    public init(pluginConfiguration: Data, surroundings: Surroundings = .process) throws(ProviderError) {
        guard let root = try? JSONValue(json: pluginConfiguration), root.members != nil else {
            throw ProviderError(.invalid, "config: must be an object with the field cloudConfig")
        }
        if let name = root.members?.keys.filter({ !Self.pluginFields.contains($0) }).min() {
            let allowed = Self.pluginFields.joined(separator: ", ")
            throw ProviderError(.invalid, "config.\(name): no such field; allowed: \(allowed)")
        }
        switch root["cloudConfig"] {
        case .string(let path): try self.init(fields: Self.fields(ofFile: path), surroundings: surroundings)
        case .some(let fields) where fields.members != nil:
            try self.init(fields: fields, surroundings: surroundings)
        default:
            throw ProviderError(
                .invalid, "config.cloudConfig: is missing; must be the path of a cloud configuration, or its fields")
        }
        if let limit = root["pruneLimit"] {
            guard let number = limit.int, (0...Self.maximumPruneLimit).contains(number) else {
                throw ProviderError(
                    .invalid,
                    "config.pruneLimit: must be a whole number from 0 to \(Self.maximumPruneLimit); 0 deletes nothing")
            }
            pruneLimit = number
        }
    }

    private static func fields(ofFile path: String) throws(ProviderError) -> JSONValue {
        let fields: JSONValue
        do throws(FileProblem) {
            fields = try ConfigurationText.parse(readSmallFile(path))
        } catch {
            throw ProviderError(.invalid, "config.cloudConfig: cannot read \"\(path)\": \(error)")
        }
        guard fields.members != nil else {
            throw ProviderError(.invalid, "config.cloudConfig: \"\(path)\" holds no object")
        }
        return fields
    }

    /// Reads the fields.
    public init(fields: JSONValue, surroundings: Surroundings = .process) throws(ProviderError) {
        let reader = FieldReader(fields)
        cloud = try reader.required("cloud")
        location = try reader.required("location")
        subscriptionID = try reader.required("subscriptionId")
        resourceGroup = try reader.required("resourceGroup")
        virtualNetwork = try reader.required("vnetName")
        subnet = try reader.required("subnetName")
        virtualNetworkResourceGroup = try reader.text("vnetResourceGroup") ?? resourceGroup
        loadBalancer = try reader.text("gatewayLoadBalancerName") ?? "kubeegressgateway-ilb"
        loadBalancerResourceGroup = try reader.text("loadBalancerResourceGroup") ?? resourceGroup
        userAgent = try reader.text("userAgent") ?? "kube-egress-gateway-controller"
        resourceManagerEndpoint = try reader.text("resourceManagerEndpoint").map { text throws(ProviderError) in
            try endpoint(text, "cloudConfig.resourceManagerEndpoint")
        }
        endpointOverrides = try EndpointOverrides(cloud: cloud, surroundings.environment)
        credential = try Credential(reader, surroundings)
        pace = try RequestPace(reader)
        notices = try Self.notices(reader, cloud: cloud)
        if CloudEnvironment.isStack(cloud), resourceManagerEndpoint == nil, endpointOverrides.resourceManager == nil {
            throw ProviderError(
                .invalid,
                "cloudConfig.cloud: \"\(cloud)\" says not where it is; the environment's "
                    + "\(EndpointOverrides.variable) must name a file, or resourceManagerEndpoint must be set")
        }
    }

    private static func notices(_ reader: FieldReader, cloud: String) throws(ProviderError) -> [String] {
        var notices: [String] = []
        if !CloudEnvironment.isKnown(cloud) {
            notices.append("cloudConfig.cloud: \"\(cloud)\" is no known name and means the public cloud")
        }
        if CloudEnvironment.isStack(cloud), try !reader.flag("disableAzureStackCloud") {
            notices.append(
                "cloudConfig.disableAzureStackCloud: is false; the API versions of Azure Stack Hub are not spoken, "
                    + "those of Azure are used")
        }
        if let tenant = try reader.text("networkResourceTenantID"), tenant != (try reader.text("tenantId")) {
            notices.append(
                "cloudConfig.networkResourceTenantID: \"\(tenant)\" has no effect; the virtual network must be in the "
                    + "tenant of the identity")
        }
        return notices
    }
}

/// The address in `text`, without a slash at its end.
func endpoint(_ text: String, _ name: String) throws(ProviderError) -> String {
    guard let url = URL(string: text), ["http", "https"].contains(url.scheme), url.host() != nil else {
        throw ProviderError(.invalid, "\(name): \"\(text)\" must be an http or https URL")
    }
    return trimmingSlash(text)
}

extension CloudConfiguration {
    /// An id in this subscription.
    public func id(_ provider: String, _ path: [String], resourceGroup: String? = nil) -> ResourceID {
        ResourceID(
            subscription: subscriptionID, resourceGroup: resourceGroup ?? self.resourceGroup, provider: provider,
            path: path)
    }

    public var loadBalancerID: ResourceID {
        id("Microsoft.Network", ["loadBalancers", loadBalancer], resourceGroup: loadBalancerResourceGroup)
    }

    public var subnetID: ResourceID {
        id(
            "Microsoft.Network", ["virtualNetworks", virtualNetwork, "subnets", subnet],
            resourceGroup: virtualNetworkResourceGroup)
    }
}
