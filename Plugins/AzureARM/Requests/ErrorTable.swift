import ProviderKit

/// What we do about each failure of Azure: one table, first matching row wins.
///
/// Sources: [T] troubleshooting pages of the Azure documentation (resource-manager "common deployment errors",
/// "request limits and throttling", load balancer "common deployment errors"); [R] recorded traffic of the Kubernetes
/// Azure client library; [C] the source of that library and of the Go SDK; [I] public issues.
enum ErrorTable {
    struct Verdict: Sendable, Equatable {
        let code: ResultCode
        /// What a person can do; empty if there is nothing.
        let advice: String
    }

    struct Row: Sendable {
        /// Nil: any status.
        let status: Int?
        /// Nil: any code. Compared with the error's code and those of its details, without case.
        let code: String?
        let result: ResultCode
        let advice: String

        init(_ status: Int?, _ code: String?, _ result: ResultCode, _ advice: String = "") {
            self.status = status
            self.code = code
            self.result = result
            self.advice = advice
        }
    }

    static let rows: [Row] = [
        // Somebody else writes, or wrote [R][I].
        Row(412, nil, .conflict),
        Row(nil, "AnotherOperationInProgress", .conflict),
        Row(nil, "CanceledAndSupersededDueToAnotherOperation", .conflict),
        Row(nil, "OperationPreempted", .conflict),
        Row(nil, "RetryableErrorDueToAnotherOperation", .conflict),
        Row(nil, "ReferencedResourceNotProvisioned", .retry),
        Row(409, "Conflict", .conflict),
        Row(409, "MissingSubscriptionRegistration", .terminal, "register the resource provider in the subscription"),
        Row(409, "OperationNotAllowed", .retry),
        // Throttling; 429 OperationNotAllowed and TooManyRequests are Microsoft.Compute's [T].
        Row(429, nil, .throttled),
        // Identity [T][C].
        Row(401, "invalid_client", .terminal, "the client secret in the cloud configuration is wrong or expired"),
        Row(400, "unauthorized_client", .terminal, "aadClientId or tenantId in the cloud configuration is wrong"),
        Row(400, "invalid_request", .terminal, "check tenantId in the cloud configuration"),
        Row(401, nil, .retry),
        Row(
            403, "AuthorizationFailed", .terminal,
            "give the identity the role Network Contributor and Virtual Machine Contributor"),
        Row(403, "LinkedAuthorizationFailed", .terminal, "give the identity the join action on the linked resource"),
        Row(403, nil, .terminal),
        // Configuration [R].
        Row(404, "ResourceGroupNotFound", .invalid, "check resourceGroup in the cloud configuration"),
        Row(404, "SubscriptionNotFound", .invalid, "check subscriptionId in the cloud configuration"),
        Row(404, nil, .retry),
        // Still in use: what uses it goes first [T][I].
        Row(nil, "InUsePublicIpPrefixCannotBeDeleted", .retry, "its addresses must be taken from every instance first"),
        Row(nil, "PublicIPAddressCannotBeDeleted", .retry),
        Row(
            nil, "LoadBalancerInUseByVirtualMachineScaleSet", .retry,
            "its backend pool must be taken from the scale set and every instance first"),
        Row(nil, "NicReservedForAnotherVm", .retry),
        // Room [T].
        Row(nil, "SubnetIsFull", .terminal, "the subnet has no free address; enlarge it or use another"),
        Row(
            nil, "PublicIpPrefixOutOfIpAddressesForVMScaleSet", .terminal,
            "the pool has more nodes than the prefix has addresses; use a shorter prefix length"),
        Row(nil, "PublicIPCountLimitReached", .terminal, "raise the quota of public addresses"),
        Row(
            nil, "LoadBalancerRuleCountLimitReachedForNic", .terminal,
            "a pool carries at most 300 gateway configurations"),
        Row(
            nil, "VMScaleSetCannotUseMultipleLoadBalancersOfSameType", .terminal,
            "keep gateway nodes out of other internal load balancers"),
        // A reference to something that is not there yet, or no more.
        Row(400, "InvalidResourceReference", .retry),
        // Service trouble [C].
        Row(408, nil, .retry),
        Row(500, nil, .retry),
        Row(502, nil, .retry),
        Row(503, nil, .retry),
        Row(504, nil, .retry),
        Row(nil, "InternalServerError", .retry),
        Row(400, nil, .invalid),
        Row(413, nil, .terminal),
    ]

    static func verdict(_ failure: ARMFailure) -> Verdict {
        let codes = ([failure.code] + failure.detailCodes).map { $0.lowercased() }
        let row = rows.first { row in
            (row.status == nil || row.status == failure.status)
                && (row.code.map { codes.contains($0.lowercased()) } ?? true)
        }
        return Verdict(code: row?.result ?? .retry, advice: row?.advice ?? "")
    }

    /// The resource does not exist, while everything around it does. ARM has three codes for that: decided by status.
    static func meansAbsent(_ failure: ARMFailure) -> Bool {
        failure.status == 404 && verdict(failure).code != .invalid
    }

    /// The instance is being deleted: what we wanted of it does not matter any more [C][I].
    static func meansInstanceIsGone(_ failure: ARMFailure) -> Bool {
        failure.message.lowercased().contains("not an active virtual machine scale set vm instanceid")
    }
}
