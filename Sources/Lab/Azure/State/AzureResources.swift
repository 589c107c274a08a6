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
        /// Lower-case key in the collection.
        var key: String { name.lowercased() }
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
        /// Id of the next instance made; ids are not used again.
        var nextInstance = 0

        var capacity: Int { body["sku.capacity"]?.int ?? instances.count }
        var isAutomatic: Bool { body["properties.upgradePolicy.mode"]?.text == "Automatic" }

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
            /// Of an instance: the name its configuration gives. Else the name of the public address resource.
            let name: String
            let address: AzureAddress
            /// Lower-case name of the prefix; nil: an address of its own.
            let prefix: String?
        }

        let name: String
        let isPrimary: Bool
        let subnetID: String
        let address: AzureAddress
        let publicAddress: PublicAddress?
        /// Ids of the backend pools it belongs to.
        let backendPools: [String]
    }

    /// A network interface with where it is.
    struct LocatedInterface: Sendable {
        let id: String
        /// Name of the machine; empty while there is none.
        let computerName: String
        /// Empty for a network interface of its own.
        let scaleSet: String
        /// Of a machine: its name. Empty while there is none.
        let instanceID: String
        let state: InterfaceState
    }

    /// A network interface that is a resource of its own.
    struct NetworkInterfaceState: Sendable {
        let name: String
        let guid: String
        var provisioningState = "Succeeded"
        /// Writable members only.
        var body: JSONValue
        /// What it really has; changes when an operation on it ends.
        var state: InterfaceState
        /// A machine that went, and until when it keeps others from this network interface.
        var reservation: (machine: String, until: Duration)?

        var ipConfigurations: [JSONValue] { body["properties.ipConfigurations"]?.elements ?? [] }
    }

    /// A public address that is a resource of its own.
    struct PublicAddressState: Sendable {
        let name: String
        let guid: String
        var etag: String
        var provisioningState = "Updating"
        var body: JSONValue
        /// Chosen when it is asked for; a Basic Dynamic one gets its address with its first ipConfiguration.
        var address: AzureAddress?
        /// Shown and usable only when its operation has ended.
        var isAllocated = false

        var isStandard: Bool { body["sku.name"]?.text == "Standard" }
        var version: String { body["properties.publicIPAddressVersion"]?.text ?? "IPv4" }
    }

    /// A virtual machine that belongs to no scale set.
    struct MachineState: Sendable {
        let name: String
        let vmID: String
        var etag = 1
        var provisioningState = "Succeeded"
        /// Writable members only.
        var body: JSONValue

        var computerName: String { body["properties.osProfile.computerName"]?.text ?? name }
        /// Ids of its network interfaces, the primary one first.
        var interfaceIDs: [String] {
            let references = body["properties.networkProfile.networkInterfaces"]?.elements ?? []
            let primary = references.filter { $0["properties.primary"]?.bool == true }
            return (primary + references.filter { $0["properties.primary"]?.bool != true }).compactMap {
                $0["id"]?.text
            }
        }
    }

    /// A long-running operation.
    struct OperationState: Sendable {
        /// What happens when it ends.
        enum Effect: Sendable, Equatable {
            case loadBalancerWritten(String)
            case loadBalancerDeleted(String)
            case prefixWritten(String)
            case prefixDeleted(String)
            case publicAddressWritten(String)
            case publicAddressDeleted(String)
            case interfaceWritten(String)
            case interfaceDeleted(String)
            case scaleSetWritten(String)
            case scaleSetDeleted(String)
            case instanceWritten(scaleSet: String, instanceID: String)
            case instanceDeleted(scaleSet: String, instanceID: String)
            case instancesUpgraded(scaleSet: String, instanceIDs: [String])
            case machineWritten(String)
            case machineDeleted(String)
        }

        /// An end other than success.
        struct Ending: Sendable {
            /// `Failed` or `Canceled`.
            let status: String
            let error: ARMFault
        }

        let id: String
        let provider: ARMProvider
        let effect: Effect
        /// Lower-case id of the resource it writes.
        let resource: String
        let startedAt: Duration
        let endsAt: Duration
        /// Decided by a fault; nil: what the work itself comes to.
        let ending: Ending?
        var status = "InProgress"
        var error: ARMFault?

        var isRunning: Bool { status == "InProgress" }
    }
}
