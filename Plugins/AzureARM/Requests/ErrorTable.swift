import ProviderKit

/// What we do about each failure of Azure: one table, first matching row wins.
enum ErrorTable {
    struct Verdict: Sendable, Equatable {
        let code: ResultCode
        /// For the condition of the object; nil if the failure passes by itself.
        let reason: FailureReason?
        /// What a person can do; empty if there is nothing.
        let advice: String
    }

    /// Where a row comes from: pages of learn.microsoft.com, unless another site is named.
    enum Source: String, Sendable, CaseIterable {
        case deploymentErrors = "azure/azure-resource-manager/troubleshooting/common-deployment-errors"
        case requestLimits = "azure/azure-resource-manager/management/request-limits-and-throttling"
        case asyncOperations = "azure/azure-resource-manager/management/async-operations"
        case computeThrottling = "troubleshoot/azure/virtual-machines/troubleshooting-throttling-errors"
        case loadBalancerErrors = "azure/load-balancer/load-balancer-common-deployment-errors"
        case identityErrors = "entra/identity-platform/reference-error-codes"
        case managedIdentity = "entra/identity/managed-identities-azure-resources/how-to-use-vm-token"
        case workloadIdentity = "azure.github.io/azure-workload-identity/docs/troubleshooting.html"
        case recordings = "github.com/kubernetes-sigs/cloud-provider-azure pkg/azclient/*/testdata"
        case azclient = "github.com/kubernetes-sigs/cloud-provider-azure pkg/azclient, pkg/provider/azure_vmss.go"
        case goSDK = "github.com/Azure/azure-sdk-for-go sdk/azcore/runtime, sdk/azidentity"
        case upstream = "github.com/Azure/kube-egress-gateway issue 1223, controllers/manager"
        case karpenter = "github.com/Azure/karpenter-provider-azure issue 92, website/content (public IP prefixes)"
        case bosh = "github.com/cloudfoundry/bosh-azure-cpi-release issues 179, 765"
    }

    struct Row: Sendable {
        /// Nil: any status. 200 is an operation that failed after it was accepted.
        let status: Int?
        /// Nil: any code. Compared with the error's code and those of its details, without case.
        let code: String?
        let result: ResultCode
        let reason: FailureReason?
        let advice: String
        let source: Source

        init(
            _ status: Int?, _ code: String?, _ result: ResultCode, _ reason: FailureReason? = nil,
            _ advice: String = "", from source: Source
        ) {
            self.status = status
            self.code = code
            self.result = result
            self.reason = reason
            self.advice = advice
            self.source = source
        }
    }

    static let rows: [Row] = concurrency + throttling + identity + permission + place + inUse + room + rest

    /// Somebody else writes, or wrote: read again and decide again.
    private static let concurrency: [Row] = [
        Row(412, nil, .conflict, from: .recordings),
        Row(nil, "AnotherOperationInProgress", .conflict, from: .asyncOperations),
        Row(nil, "CanceledAndSupersededDueToAnotherOperation", .conflict, from: .azclient),
        Row(nil, "OperationPreempted", .conflict, from: .azclient),
        Row(200, "OperationCanceled", .conflict, from: .asyncOperations),
        Row(nil, "RetryableErrorDueToAnotherOperation", .conflict, from: .bosh),
        Row(nil, "ReferencedResourceNotProvisioned", .retry, from: .bosh),
        Row(409, "Conflict", .conflict, from: .azclient),
        Row(409, "OperationNotAllowed", .retry, from: .azclient),
    ]

    /// 429 OperationNotAllowed and TooManyRequests are Microsoft.Compute's.
    private static let throttling: [Row] = [
        Row(429, "RetryableError", .retry, from: .requestLimits),
        Row(429, "QuotaExceeded", .terminal, .quotaExceeded, "raise the quota", from: .deploymentErrors),
        Row(429, "SubscriptionRequestsThrottled", .throttled, from: .requestLimits),
        Row(429, "TooManyRequests", .throttled, from: .computeThrottling),
        Row(429, nil, .throttled, from: .requestLimits),
    ]

    private static let secretAdvice = "give the cloud configuration a client secret that is valid"
    private static let certificateAdvice = "upload the certificate to the application, or configure the one it has"
    private static let federationAdvice =
        "add a federated credential to the identity for this issuer, namespace and service account"

    /// Answers of the token endpoint and of the metadata service, and of the resource manager about a token.
    private static let identity: [Row] = [
        Row(nil, "AADSTS7000215", .terminal, .credentialRefused, secretAdvice, from: .identityErrors),
        Row(nil, "AADSTS7000222", .terminal, .credentialRefused, secretAdvice, from: .identityErrors),
        Row(nil, "AADSTS700027", .terminal, .credentialRefused, certificateAdvice, from: .identityErrors),
        Row(nil, "AADSTS700021", .terminal, .credentialRefused, certificateAdvice, from: .identityErrors),
        Row(nil, "AADSTS700024", .terminal, .credentialRefused, "set this machine's clock", from: .identityErrors),
        Row(nil, "AADSTS70021", .terminal, .credentialRefused, federationAdvice, from: .workloadIdentity),
        Row(nil, "AADSTS700211", .terminal, .credentialRefused, federationAdvice, from: .workloadIdentity),
        Row(nil, "AADSTS700212", .terminal, .credentialRefused, federationAdvice, from: .workloadIdentity),
        Row(nil, "AADSTS700213", .terminal, .credentialRefused, federationAdvice, from: .workloadIdentity),
        Row(
            nil, "AADSTS700016", .terminal, .credentialRefused, "check aadClientId and tenantId", from: .identityErrors),
        Row(nil, "AADSTS90002", .terminal, .credentialRefused, "check tenantId", from: .identityErrors),
        Row(401, "invalid_client", .terminal, .credentialRefused, secretAdvice, from: .identityErrors),
        Row(400, "unauthorized_client", .terminal, .credentialRefused, "check aadClientId", from: .identityErrors),
        Row(400, "invalid_request", .terminal, .credentialRefused, "check tenantId", from: .identityErrors),
        Row(400, "invalid_scope", .terminal, .credentialRefused, "check cloud", from: .identityErrors),
        Row(
            400, "ManagedIdentity:invalid_request", .terminal, .credentialRefused,
            "assign the identity to this machine, or check userAssignedIdentityID", from: .managedIdentity),
        Row(
            403, "ManagedIdentity:", .terminal, .credentialRefused,
            "the metadata service refuses this process; proxies and other networks cannot reach it",
            from: .managedIdentity),
        Row(
            401, "InvalidAuthenticationTokenTenant", .terminal, .credentialRefused, "check tenantId", from: .recordings),
        Row(401, nil, .retry, from: .goSDK),
    ]

    /// What the subscription does not let the identity do.
    private static let permission: [Row] = [
        Row(
            403, "AuthorizationFailed", .terminal, .missingRole,
            "give the identity the roles Network Contributor and Virtual Machine Contributor", from: .deploymentErrors),
        Row(
            403, "LinkedAuthorizationFailed", .terminal, .missingRole,
            "give the identity the join action on the linked resource", from: .deploymentErrors),
        Row(
            nil, "RequestDisallowedByPolicy", .terminal, .policyDenied, "ask who keeps the policy",
            from: .deploymentErrors),
        Row(409, "ScopeLocked", .terminal, .policyDenied, "remove the lock", from: .deploymentErrors),
        Row(
            409, "MissingSubscriptionRegistration", .terminal, .serviceNotRegistered,
            "register the resource provider in the subscription", from: .deploymentErrors),
        Row(403, nil, .terminal, .missingRole, from: .deploymentErrors),
    ]

    private static let place: [Row] = [
        Row(
            404, "ResourceGroupNotFound", .invalid, .resourceGroupNotFound, "check the resource group's name",
            from: .recordings),
        Row(
            404, "SubscriptionNotFound", .invalid, .subscriptionNotFound,
            "check subscriptionId in the cloud configuration", from: .deploymentErrors),
        Row(
            400, "InvalidSubscriptionId", .invalid, .subscriptionNotFound,
            "check subscriptionId in the cloud configuration", from: .deploymentErrors),
        Row(
            nil, "LinkedInvalidPropertyId", .invalid, .foreignSubscription,
            "a linked id must be in the gateway's own subscription", from: .deploymentErrors),
        // Three codes for "not there": decided by status.
        Row(404, nil, .retry, from: .recordings),
    ]

    /// What uses it goes first.
    private static let inUse: [Row] = [
        Row(
            nil, "InUsePublicIpPrefixCannotBeDeleted", .retry, nil,
            "its addresses must be taken from every instance first", from: .upstream),
        Row(nil, "PublicIPAddressCannotBeDeleted", .retry, from: .azclient),
        Row(nil, "PublicIPAddressInUse", .retry, from: .bosh),
        Row(nil, "PrivateIPAddressIsAllocated", .retry, from: .bosh),
        Row(nil, "NicInUse", .retry, from: .karpenter),
        Row(nil, "NicReservedForAnotherVm", .retry, from: .karpenter),
        Row(
            nil, "LoadBalancerInUseByVirtualMachineScaleSet", .retry, nil,
            "its backend pool must be taken from the scale set and every instance first", from: .loadBalancerErrors),
    ]

    private static let room: [Row] = [
        Row(
            nil, "SubnetIsFull", .terminal, .subnetFull, "the subnet has no free address; enlarge it or use another",
            from: .deploymentErrors),
        Row(
            nil, "PublicIpPrefixOutOfIpAddressesForVMScaleSet", .terminal, .prefixExhausted,
            "the pool has more nodes than the prefix has addresses; use a shorter prefix length", from: .karpenter),
        Row(
            nil, "PublicIPCountLimitReached", .terminal, .quotaExceeded, "raise the quota of public addresses",
            from: .deploymentErrors),
        Row(
            nil, "PublicIPPrefixCountLimitReached", .terminal, .quotaExceeded, "raise the quota of public prefixes",
            from: .deploymentErrors),
        Row(nil, "QuotaExceeded", .terminal, .quotaExceeded, "raise the quota", from: .deploymentErrors),
        Row(
            nil, "LoadBalancerRuleCountLimitReachedForNic", .terminal, .loadBalancerFull,
            "a pool carries at most 300 gateway configurations", from: .loadBalancerErrors),
        Row(
            nil, "VMScaleSetCannotUseMultipleLoadBalancersOfSameType", .terminal, .loadBalancerConflict,
            "keep gateway nodes out of other internal load balancers", from: .loadBalancerErrors),
        Row(
            nil, "AnotherInternalLoadBalancerExists", .terminal, .loadBalancerConflict,
            "keep gateway nodes out of other internal load balancers", from: .loadBalancerErrors),
        Row(
            nil, "RulesOfSameLoadBalancerTypeUseSameBackendPortProtocolAndIPConfig", .terminal, .loadBalancerConflict,
            "another rule of the pool has the same backend port; remove it", from: .loadBalancerErrors),
        Row(
            nil, "RulesOfSameLoadBalancerTypeUseSameBackendPortProtocolAndVmssIPConfig", .terminal,
            .loadBalancerConflict, "another rule of the pool has the same backend port; remove it",
            from: .loadBalancerErrors),
        Row(
            nil, "DifferentSkuLoadBalancersAndPublicIPAddressNotAllowed", .terminal, .prefixMismatch,
            "prefix and load balancer must be of the SKU Standard", from: .loadBalancerErrors),
    ]

    /// References to what is not there (any more), trouble of the service, and the rest.
    private static let rest: [Row] = [
        Row(400, "InvalidResourceReference", .retry, from: .deploymentErrors),
        Row(408, nil, .retry, from: .azclient),
        Row(500, nil, .retry, from: .azclient),
        Row(502, nil, .retry, from: .azclient),
        Row(503, nil, .retry, from: .azclient),
        Row(504, nil, .retry, from: .azclient),
        Row(nil, "InternalServerError", .retry, from: .upstream),
        Row(200, "OperationFailed", .retry, from: .asyncOperations),
        Row(400, nil, .invalid, from: .deploymentErrors),
        Row(413, nil, .terminal, from: .requestLimits),
    ]

    static func row(_ failure: ARMFailure) -> Row? {
        let codes = ([failure.code] + failure.detailCodes).map { $0.lowercased() }
        return rows.first { row in
            (row.status == nil || row.status == failure.status)
                && (row.code.map { codes.contains($0.lowercased()) } ?? true)
        }
    }

    static func verdict(_ failure: ARMFailure) -> Verdict {
        if meansInstanceIsGone(failure) { return Verdict(code: .retry, reason: nil, advice: "") }
        let row = row(failure)
        return Verdict(code: row?.result ?? .retry, reason: row?.reason, advice: row?.advice ?? "")
    }

    /// The resource does not exist, while everything around it does. ARM has three codes for that: decided by status.
    static func meansAbsent(_ failure: ARMFailure) -> Bool {
        failure.status == 404 && verdict(failure).code != .invalid
    }

    /// The instance is being deleted: the next look does not find it any more. Only the message says so (azclient).
    private static func meansInstanceIsGone(_ failure: ARMFailure) -> Bool {
        failure.message.lowercased().contains("not an active virtual machine scale set vm instanceid")
    }
}
