/// Virtual machines of Microsoft.Compute 2025-04-01, member by member, as the public REST specification has them. A
/// test compares this table with the generated schemas.
extension ARMDescription {
    static let machines: [String: [ARMMember]] = [
        "VirtualMachine": [
            .init("etag", .string, readOnly: true),
            .init("extendedLocation", .opaque("ExtendedLocation")),
            .init("id", .string, readOnly: true),
            .init("identity", .opaque("VirtualMachineIdentity")),
            .init("location", .string, required: true),
            .init("managedBy", .string, readOnly: true),
            .init("name", .string, readOnly: true),
            .init("placement", .opaque("Placement")),
            .init("plan", .opaque("Plan")),
            .init("properties", .object("VirtualMachineProperties")),
            .init("resources", .array(.opaque("VirtualMachineExtension")), readOnly: true),
            .init("systemData", .opaque("SystemData"), readOnly: true),
            .init("tags", .tags),
            .init("type", .string, readOnly: true),
            .init("zones", .array(.string)),
        ],
        "VirtualMachineProperties": [
            .init("additionalCapabilities", .opaque("AdditionalCapabilities")),
            .init("applicationProfile", .opaque("ApplicationProfile")),
            .init("availabilitySet", .object("SubResource")),
            .init("billingProfile", .opaque("BillingProfile")),
            .init("capacityReservation", .opaque("CapacityReservationProfile")),
            .init("diagnosticsProfile", .opaque("DiagnosticsProfile")),
            .init("evictionPolicy", .enumeration(["Deallocate", "Delete"])),
            .init("extensionsTimeBudget", .string),
            .init("hardwareProfile", .opaque("HardwareProfile")),
            .init("host", .object("SubResource")),
            .init("hostGroup", .object("SubResource")),
            .init("instanceView", .opaque("VirtualMachineInstanceView"), readOnly: true),
            .init("licenseType", .string),
            .init("networkProfile", .object("NetworkProfile")),
            .init("osProfile", .opaque("OSProfile")),
            .init("platformFaultDomain", .integer),
            .init("priority", .enumeration(["Low", "Regular", "Spot"])),
            .init("provisioningState", .string, readOnly: true),
            .init("proximityPlacementGroup", .object("SubResource")),
            .init("scheduledEventsPolicy", .opaque("ScheduledEventsPolicy")),
            .init("scheduledEventsProfile", .opaque("ScheduledEventsProfile")),
            .init("securityProfile", .opaque("SecurityProfile")),
            .init("storageProfile", .opaque("StorageProfile")),
            .init("timeCreated", .string, readOnly: true),
            .init("userData", .string),
            .init("virtualMachineScaleSet", .object("SubResource")),
            .init("vmId", .string, readOnly: true),
        ],
        "NetworkProfile": [
            .init("networkApiVersion", .enumeration(["2020-11-01", "2022-11-01"])),
            .init("networkInterfaceConfigurations", .array(.opaque("VirtualMachineNetworkInterfaceConfiguration"))),
            .init("networkInterfaces", .array(.object("NetworkInterfaceReference"))),
        ],
        "NetworkInterfaceReference": [
            .init("id", .string),
            .init("properties", .object("NetworkInterfaceReferenceProperties")),
        ],
        "NetworkInterfaceReferenceProperties": [
            .init("deleteOption", .enumeration(["Delete", "Detach"])),
            .init("primary", .boolean),
        ],
        "VirtualMachineScaleSetVMInstanceRequiredIDs": [
            .init("instanceIds", .array(.string), required: true)
        ],
    ]
}
