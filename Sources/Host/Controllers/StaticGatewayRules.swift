import Kubernetes

/// The rules a StaticGatewayConfiguration must keep beyond its schema (upstream behaviour section 1.1).
enum StaticGatewayRules {
    /// One broken rule.
    struct Violation: Equatable, CustomStringConvertible {
        var field: String
        var problem: String

        var description: String { "\(field): \(problem)" }
    }

    /// All broken rules; empty if the spec may be provisioned.
    static func violations(_ spec: StaticGatewayConfigurationSpec) -> [Violation] {
        poolViolations(spec) + prefixViolations(spec) + routeViolations(spec) + familyViolations(spec)
    }

    private static func poolViolations(_ spec: StaticGatewayConfigurationSpec) -> [Violation] {
        let profile = spec.gatewayVmssProfile
        switch (spec.gatewayNodepoolName.isEmpty, profile.isEmpty) {
        case (true, true):
            return [
                Violation(
                    field: "spec.gatewayNodepoolName",
                    problem: "is empty, and so is spec.gatewayVmssProfile; exactly one of them must be set")
            ]
        case (false, false):
            return [
                Violation(
                    field: "spec.gatewayNodepoolName",
                    problem: "is \"\(spec.gatewayNodepoolName)\" while spec.gatewayVmssProfile is set, too; "
                        + "exactly one of them must be set")
            ]
        case (false, true):
            return []
        case (true, false):
            return profileViolations(profile)
        }
    }

    private static func profileViolations(_ profile: GatewayVmssProfile) -> [Violation] {
        var found: [Violation] = []
        let name = "spec.gatewayVmssProfile"
        if profile.vmssResourceGroup.isEmpty {
            found.append(Violation(field: "\(name).vmssResourceGroup", problem: "is empty; a resource group is needed"))
        }
        if profile.vmssName.isEmpty {
            found.append(Violation(field: "\(name).vmssName", problem: "is empty; the name of a scale set is needed"))
        }
        if !(0...31).contains(profile.publicIpPrefixSize) {
            found.append(
                Violation(
                    field: "\(name).publicIpPrefixSize",
                    problem: "is \(profile.publicIpPrefixSize); allowed are 0 to 31 (Azure makes 28 to 31)"))
        }
        return found
    }

    private static func prefixViolations(_ spec: StaticGatewayConfigurationSpec) -> [Violation] {
        guard !spec.provisionPublicIps, !spec.publicIpPrefixId.isEmpty else { return [] }
        return [
            Violation(
                field: "spec.publicIpPrefixId",
                problem: "is \"\(spec.publicIpPrefixId)\"; it must be empty while spec.provisionPublicIps is false")
        ]
    }

    private static func familyViolations(_ spec: StaticGatewayConfigurationSpec) -> [Violation] {
        let families = spec.ipFamilies
        guard !families.isEmpty else { return [] }
        let allowed = ["IPv4", "IPv6"]
        guard families.contains("IPv4"), Set(families).count == families.count,
            families.allSatisfy(allowed.contains)
        else {
            return [
                Violation(
                    field: "spec.ipFamilies",
                    problem: "is [\(families.joined(separator: ", "))]; allowed are [IPv4] and [IPv4, IPv6]")
            ]
        }
        return []
    }

    private static func routeViolations(_ spec: StaticGatewayConfigurationSpec) -> [Violation] {
        guard !DefaultRoute.allowed.contains(spec.defaultRoute) else { return [] }
        let allowed = DefaultRoute.allowed.map(\.rawValue).joined(separator: ", ")
        return [
            Violation(
                field: "spec.defaultRoute", problem: "is \"\(spec.defaultRoute.rawValue)\"; allowed are \(allowed)")
        ]
    }
}
