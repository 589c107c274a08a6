import JSONModel
import LinuxNet

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The Instance Metadata Service of one instance: tokens of managed identities, and what the instance is.
extension AzureState {
    /// Documented limits: 20 requests per second for identity, 5 for the rest.
    struct MetadataBuckets: Sendable {
        var identity = Bucket(.init(size: 20, perSecond: 20))
        var other = Bucket(.init(size: 5, perSecond: 5))
    }

    private static let instanceVersion = "2021-10-01"
    private static let loadBalancerVersion = "2020-10-01"
    private static let identityVersion = "2018-02-01"

    mutating func respondMetadata(to request: ARMRequest, now: Duration) -> ARMResponse {
        let path = request.segments.map { $0.lowercased() }.joined(separator: "/")
        var response: ARMResponse
        switch path {
        case "metadata/identity/oauth2/token": response = issueIdentityToken(request, now: now)
        case "metadata/instance":
            response = refuseMetadata(request, Self.instanceVersion, now: now) ?? Self.found(instanceMetadata())
        case "metadata/loadbalancer":
            response =
                refuseMetadata(request, Self.loadBalancerVersion, now: now) ?? Self.found(loadBalancerMetadata())
        default: response = Self.refusal(404, "Not found")
        }
        response.operation = "Metadata_\(path.split(separator: "/").dropFirst().first ?? "Unknown")"
        return response
    }

    private static func refusal(_ status: Int, _ text: String) -> ARMResponse {
        ARMResponse(status, ["error": .string(text)])
    }

    /// What is wrong with a request for any metadata.
    private static func fault(_ request: ARMRequest) -> (status: Int, text: String)? {
        if request.method != "GET" { return (405, "Method not allowed") }
        if request.headers["x-forwarded-for"] != nil { return (400, "Bad request. X-Forwarded-For is not allowed") }
        if request.headers["metadata"]?.lowercased() != "true" {
            return (400, "Bad request. Required metadata header not specified")
        }
        return nil
    }

    private static func found(_ value: JSONValue?) -> ARMResponse {
        value.map { ARMResponse(200, $0) } ?? refusal(404, "Not found")
    }

    /// What is wrong with a request for the metadata of one version; nil: nothing.
    private mutating func refuseMetadata(
        _ request: ARMRequest, _ version: String, now: Duration
    ) -> ARMResponse? {
        if let fault = Self.fault(request) { return Self.refusal(fault.status, fault.text) }
        guard metadataBuckets.other.take(now: now) != nil else { return Self.refusal(429, "Too many requests") }
        guard let given = request.query["api-version"] else {
            return ARMResponse(
                400,
                [
                    "error": "Bad request. api-version was not specified in the request.",
                    "newest-versions": [.string(version)],
                ])
        }
        guard given == version else {
            return Self.refusal(400, "Bad request. api-version is invalid or is not supported: served is \(version)")
        }
        guard ["json", nil].contains(request.query["format"]?.lowercased()) else {
            return Self.refusal(400, "Bad request. Only format=json is served")
        }
        return nil
    }

    private mutating func issueIdentityToken(_ request: ARMRequest, now: Duration) -> ARMResponse {
        func refuse(_ status: Int, _ error: String, _ text: String) -> ARMResponse {
            ARMResponse(status, ["error": .string(error), "error_description": .string(text)])
        }
        if let fault = Self.fault(request) {
            let name = fault.status == 400 ? "bad_request_102" : "invalid_request"
            return refuse(fault.status, name, fault.text)
        }
        guard metadataBuckets.identity.take(now: now) != nil else {
            return refuse(429, "too_many_requests", "Temporarily throttled. Too many requests")
        }
        guard request.query["api-version"] == Self.identityVersion else {
            return refuse(400, "invalid_request", "api-version must be \(Self.identityVersion)")
        }
        guard let resource = request.query["resource"], !resource.isEmpty else {
            return refuse(400, "invalid_request", "Required query variable 'resource' is missing")
        }
        let names = ["client_id", "object_id", "msi_res_id", "mi_res_id"]
        let wanted = names.compactMap { request.query[$0]?.lowercased() }
        let found = configuration.identity.userAssigned.first { identity in
            wanted.allSatisfy {
                [identity.clientID, identity.objectID, identity.resourceID].map { $0.lowercased() }.contains($0)
            }
        }
        guard wanted.count <= 1, wanted.isEmpty || found != nil else {
            return refuse(400, "invalid_request", "Identity not found")
        }
        let start = Int64(epoch.timeIntervalSince1970) + now.components.seconds
        let lifetime = configuration.identity.tokenLifetime.components.seconds
        return ARMResponse(
            200,
            [
                "access_token": .string(makeToken(now: now)), "client_id": .string(found?.clientID ?? systemIdentity),
                "expires_in": .string(String(lifetime)), "expires_on": .string(String(start + lifetime)),
                "ext_expires_in": .string(String(lifetime)), "not_before": .string(String(start)),
                "resource": .string(resource), "token_type": "Bearer",
            ])
    }

    /// Client id of the instance's own identity.
    private var systemIdentity: String { configuration.identity.clientID }

    /// The network interfaces of the instance that asks; empty if it is gone.
    private var ownInterfaces: [LocatedInterface] {
        let all = allInterfaces.filter { !$0.computerName.isEmpty }
        let wanted = configuration.metadata?.computerName ?? all.first?.computerName
        return all.filter { $0.computerName.lowercased() == wanted?.lowercased() }
    }

    private var isBehindLoadBalancer: Bool {
        ownInterfaces.flatMap(\.state.ipConfigurations).flatMap(\.backendPools)
            .contains { loadBalancer(ofPool: $0) != nil }
    }

    private func instanceMetadata() -> JSONValue? {
        let interfaces = ownInterfaces
        guard let first = interfaces.first else { return nil }
        let scaleSet = scaleSets[first.scaleSet.lowercased()]
        let machine = machines[first.instanceID.lowercased()]
        let instance = scaleSet?.instances.first { $0.instanceID == first.instanceID }
        let tags = (scaleSet?.body ?? machine?.body)?["tags"]?.members ?? [:]
        let pairs = tags.sorted { $0.key < $1.key }.map { ($0.key, $0.value.text ?? "") }
        let name = scaleSet.map { "\($0.name)_\(first.instanceID)" } ?? machine?.name ?? ""
        let resource = scaleSet.map { instanceID($0, first.instanceID) } ?? id(.compute, "virtualMachines", name)
        let setID = scaleSet.map { id(.compute, "virtualMachineScaleSets", $0.name) }
        return [
            "compute": [
                "azEnvironment": "AzurePublicCloud", "location": .string(configuration.location),
                "name": .string(name), "osType": "Linux", "placementGroupId": "", "platformFaultDomain": "0",
                "platformUpdateDomain": "0", "resourceGroupName": .string(configuration.resourceGroup),
                "resourceId": .string(resource), "subscriptionId": .string(configuration.subscription),
                "osProfile": [
                    "adminUsername": "azureuser", "computerName": .string(first.computerName),
                    "disablePasswordAuthentication": "true",
                ],
                "tags": .string(pairs.map { "\($0):\($1)" }.joined(separator: ";")),
                "tagsList": .array(pairs.map { ["name": .string($0), "value": .string($1)] }), "version": "",
                "virtualMachineScaleSet": ["id": .string(setID ?? "")],
                "vmId": .string(instance?.vmID ?? machine?.vmID ?? ""),
                "vmScaleSetName": .string(scaleSet?.name ?? ""),
                "vmSize": (scaleSet?.body["sku.name"] ?? machine?.body["properties.hardwareProfile.vmSize"]) ?? "",
                "zone": machine?.body["zones"]?.elements.first ?? "",
            ],
            "network": ["interface": .array(interfaces.map(interfaceMetadata))],
        ]
    }

    private func interfaceMetadata(_ located: LocatedInterface) -> JSONValue {
        // Behind a Standard load balancer public addresses are told in the load balancer metadata only.
        let hidesPublic = isBehindLoadBalancer
        let configurations = located.state.ipConfigurations.sorted { $0.isPrimary && !$1.isPrimary }
        func addresses(_ version: String) -> [JSONValue] {
            configurations.filter { $0.address.version == version }.map {
                let publicAddress = hidesPublic ? nil : $0.publicAddress?.address.description
                var value: JSONValue = ["privateIpAddress": .string($0.address.description)]
                if version == "IPv4" { value["publicIpAddress"] = .string(publicAddress ?? "") }
                return value
            }
        }
        var subnets: [JSONValue] = []
        for configuration in configurations {
            guard let block = subnet(configuration.subnetID)?.block(.ipv4) else { continue }
            let value: JSONValue = [
                "address": .string(block.first.description), "prefix": .string(String(block.length)),
            ]
            if !subnets.contains(value) { subnets.append(value) }
        }
        return [
            "ipv4": ["ipAddress": .array(addresses("IPv4")), "subnet": .array(subnets)],
            "ipv6": ["ipAddress": .array(addresses("IPv6"))],
            "macAddress": .string(located.state.macAddress.replacing("-", with: "")),
        ]
    }

    private func loadBalancerMetadata() -> JSONValue? {
        guard isBehindLoadBalancer else { return nil }
        let configurations = ownInterfaces.flatMap(\.state.ipConfigurations)
        let publicAddresses: [JSONValue] = configurations.compactMap { child in
            child.publicAddress.map {
                [
                    "frontendIpAddress": .string($0.address.description),
                    "privateIpAddress": .string(child.address.description),
                ]
            }
        }
        let own = Set(configurations.filter { !$0.backendPools.isEmpty }.map(\.address.description))
        var rules: [JSONValue] = []
        for rule in topology.rules {
            for backend in rule.backends where own.contains(backend.address) {
                rules.append([
                    "frontendIpAddress": .string(rule.frontendAddress), "protocol": .string(rule.protocolName),
                    "frontendPort": .integer(Int64(rule.frontendPort)),
                    "backendPort": .integer(Int64(rule.backendPort)), "privateIpAddress": .string(backend.address),
                ])
            }
        }
        return [
            "loadbalancer": [
                "publicIpAddresses": .array(publicAddresses), "inboundRules": .array(rules), "outboundRules": [],
            ]
        ]
    }
}
