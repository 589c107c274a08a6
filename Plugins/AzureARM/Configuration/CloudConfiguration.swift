import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// Text that must not reach a log: it prints as a placeholder.
public struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let value: String

    public init(_ value: String) {
        self.value = value
    }

    public var description: String { "(secret)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// How this process proves who it is.
public enum Credential: Sendable, Equatable {
    case clientSecret(tenant: String, clientID: String, secret: Secret)
    /// By the instance metadata service; `identity` is a client id, or a resource id if it contains `/subscriptions/`;
    /// nil: the system-assigned one.
    case managedIdentity(identity: String?)
}

/// The cloud configuration of the Go system (`azure.json`): the same fields, matched without case; fields of other
/// readers of the file are ignored.
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
    public var credential: Credential

    /// Reads a plugin's configuration: `{"cloudConfig": PATH}` or `{"cloudConfig": {...fields...}}`.
    ///
    /// - Throws: ``ProviderError`` with `invalid` that names the field, its value and what is allowed.
    public init(pluginConfiguration: Data) throws {
        guard let root = try? JSONValue(json: pluginConfiguration), root.members != nil else {
            throw ProviderError(.invalid, "config: must be an object with the field cloudConfig")
        }
        switch root["cloudConfig"] {
        case .string(let path):
            let data: Data
            do {
                data = try Data(contentsOf: URL(filePath: path))
            } catch {
                throw ProviderError(.invalid, "config.cloudConfig: cannot read \"\(path)\": \(error)")
            }
            guard let fields = try? JSONValue(json: data), fields.members != nil else {
                throw ProviderError(.invalid, "config.cloudConfig: \"\(path)\" holds no JSON object")
            }
            try self.init(fields: fields)
        case .some(let fields) where fields.members != nil: try self.init(fields: fields)
        default:
            throw ProviderError(
                .invalid, "config.cloudConfig: is missing; must be the path of a cloud configuration, or its fields")
        }
    }

    /// Reads the fields.
    public init(fields: JSONValue) throws {
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
        resourceManagerEndpoint = try reader.text("resourceManagerEndpoint")
        if let endpoint = resourceManagerEndpoint {
            guard let url = URL(string: endpoint), ["http", "https"].contains(url.scheme), url.host() != nil else {
                throw ProviderError(
                    .invalid, "cloudConfig.resourceManagerEndpoint: \"\(endpoint)\" must be an http or https URL")
            }
            resourceManagerEndpoint = trimmingSlash(endpoint)
        }
        credential = try Self.credential(reader)
        if resourceManagerEndpoint == nil, cloud.lowercased() == "azurestackcloud" {
            throw ProviderError(
                .unsupported,
                "cloudConfig.cloud: \"\(cloud)\" needs resourceManagerEndpoint; an endpoint file is not "
                    + "supported yet")
        }
    }

    /// The order in which the Go client library picks a method.
    private static func credential(_ reader: FieldReader) throws -> Credential {
        if try reader.flag("useFederatedWorkloadIdentityExtension") {
            throw ProviderError(
                .unsupported,
                "cloudConfig.useFederatedWorkloadIdentityExtension: workload identity is not supported "
                    + "yet; use a managed identity or a client secret")
        }
        let identity = try reader.text("userAssignedIdentityID")
        if try reader.flag("useManagedIdentityExtension") { return .managedIdentity(identity: identity) }
        if let identity {
            throw ProviderError(
                .invalid,
                "cloudConfig.userAssignedIdentityID: \"\(identity)\" is only allowed with "
                    + "useManagedIdentityExtension true")
        }
        let certificate = try reader.text("aadClientCertPath")
        guard let secret = try reader.text("aadClientSecret") else {
            if certificate != nil {
                throw ProviderError(
                    .unsupported,
                    "cloudConfig.aadClientCertPath: a client certificate is not supported yet; use a "
                        + "managed identity or a client secret")
            }
            throw ProviderError(
                .invalid,
                "cloudConfig.aadClientSecret: is missing; must be set unless useManagedIdentityExtension is "
                    + "true")
        }
        return .clientSecret(
            tenant: try reader.required("tenantId"), clientID: try reader.required("aadClientId"),
            secret: Secret(secret))
    }
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

/// Fields of one object, by name without case.
private struct FieldReader {
    private let fields: [String: JSONValue]

    init(_ value: JSONValue) {
        fields = Dictionary((value.members ?? [:]).map { ($0.key.lowercased(), $0.value) }) { first, _ in first }
    }

    /// Text; nil if absent or empty.
    func text(_ name: String) throws -> String? {
        switch fields[name.lowercased()] {
        case nil, .null: return nil
        case .string(let text): return text.isEmpty ? nil : text
        case .some(let other):
            throw ProviderError(.invalid, "cloudConfig.\(name): must be a string, not \(other.kind)")
        }
    }

    func required(_ name: String) throws -> String {
        guard let text = try text(name) else {
            throw ProviderError(.invalid, "cloudConfig.\(name): is missing; must be a string that is not empty")
        }
        return text
    }

    /// A boolean, also as the words true and false.
    func flag(_ name: String) throws -> Bool {
        switch fields[name.lowercased()] {
        case nil, .null: return false
        case .bool(let flag): return flag
        case .string(let text) where ["true", "false", ""].contains(text.lowercased()):
            return text.lowercased() == "true"
        case .some(let other):
            throw ProviderError(.invalid, "cloudConfig.\(name): must be true or false, not \(other.text ?? other.kind)")
        }
    }
}

func trimmingSlash(_ text: String) -> String {
    text.hasSuffix("/") ? String(text.dropLast()) : text
}
