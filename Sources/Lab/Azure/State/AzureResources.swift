import JSONModel

extension AzureState {
    /// A load balancer as the simulator stores it.
    struct LoadBalancerState: Sendable {
        let name: String
        let guid: String
        var etag: String
        var provisioningState = "Succeeded"
        /// Writable members only.
        var body: JSONValue
        /// Private address of each frontend, by lower-case name.
        var frontendAddresses: [String: AzureAddress]
        /// What the fabric realises: `body` and addresses as of the last operation that ended.
        var applied: Applied?

        struct Applied: Sendable {
            let body: JSONValue
            let frontendAddresses: [String: AzureAddress]
        }

        func children(_ collection: String) -> [JSONValue] { body["properties.\(collection)"]?.elements ?? [] }

        func hasChild(_ collection: String, named name: String) -> Bool {
            children(collection).contains { $0["name"]?.text?.lowercased() == name.lowercased() }
        }
    }

    /// A public IP prefix as the simulator stores it.
    struct PrefixState: Sendable {
        let name: String
        let guid: String
        var etag: String
        var provisioningState: String
        var body: JSONValue
        let block: AzureBlock
        /// A new prefix shows its block only when its operation has ended.
        var isAllocated = false
    }

    /// A scale set as the simulator stores it.
    struct ScaleSetState: Sendable {
        let name: String
        let uniqueID: String
        var etag = 1
        var provisioningState = "Succeeded"
        /// Writable members only.
        var body: JSONValue
        var instances: [InstanceState]

        var networkConfigurations: [JSONValue] {
            body["properties.virtualMachineProfile.networkProfile.networkInterfaceConfigurations"]?.elements ?? []
        }
    }

    /// An instance of a scale set.
    struct InstanceState: Sendable {
        let instanceID: String
        let computerName: String
        let vmID: String
        var etag = 1
        var provisioningState = "Succeeded"
        /// The instance's own model: `properties.networkProfileConfiguration`.
        var networkProfile: JSONValue
        /// What the instance really has.
        var interfaces: [InterfaceState]

        var networkConfigurations: [JSONValue] { networkProfile["networkInterfaceConfigurations"]?.elements ?? [] }

        /// The NICs less the ipConfigurations that the instance's own model does not name any more: their addresses
        /// are free for the ones it names anew.
        var withoutDroppedConfigurations: [InterfaceState] {
            let wanted = Set(
                networkConfigurations.flatMap { $0["properties.ipConfigurations"]?.elements ?? [] }
                    .compactMap { $0["name"]?.text?.lowercased() })
            return interfaces.map { interface in
                var interface = interface
                interface.ipConfigurations.removeAll { !wanted.contains($0.name.lowercased()) }
                return interface
            }
        }
    }

    /// A network interface of an instance.
    struct InterfaceState: Sendable {
        let name: String
        let isPrimary: Bool
        let macAddress: String
        var etag: String
        var ipConfigurations: [IPConfigurationState]
    }

    /// One ipConfiguration of a network interface.
    struct IPConfigurationState: Sendable, Equatable {
        struct PublicAddress: Sendable, Equatable {
            let name: String
            let address: AzureAddress
            /// Lower-case name of the prefix.
            let prefix: String
        }

        let name: String
        let isPrimary: Bool
        let subnetID: String
        let address: AzureAddress
        let publicAddress: PublicAddress?
        /// Ids of the backend pools it belongs to.
        let backendPools: [String]
    }

    /// A long-running operation.
    struct OperationState: Sendable {
        /// What happens when it ends.
        enum Effect: Sendable, Equatable {
            case loadBalancerWritten(String)
            case loadBalancerDeleted(String)
            case prefixWritten(String)
            case prefixDeleted(String)
            case scaleSetWritten(String)
            case instanceWritten(scaleSet: String, instanceID: String)
        }

        let id: String
        let provider: ARMProvider
        let effect: Effect
        /// Lower-case id of the resource it writes.
        let resource: String
        let startedAt: Duration
        let endsAt: Duration
        var status = "InProgress"
        var error: ARMFault?

        var isRunning: Bool { status == "InProgress" }
    }
}
