import Foundation
import JSONModel
import Kubernetes
import LinuxNet
import Logging
import Reconcile

/// StaticGatewayConfiguration -> key pair in a Secret, GatewayLBConfiguration, and the status back up
/// (upstream behaviour section 3.1).
struct StaticGatewayController: Sendable {
    let objects: GatewayObjects
    let events: EventRecorder
    let settings: ManagerSettings
    /// How configurations are used and served.
    let uses: GatewayUses
    /// The wall clock, for conditions.
    var now: @Sendable () -> Date = { Date() }
    /// Makes the key pair of a configuration.
    var generateKey: @Sendable () throws -> WireGuardPrivateKey = { try WireGuardPrivateKey.generate() }

    func reconcile(_ key: ObjectKey) async -> Outcome {
        do {
            guard
                let gateway = try await objects.find(
                    StaticGatewayConfiguration.self, namespace: key.namespace, name: key.name)
            else { return .done }
            if gateway.metadata.deletionTimestamp != nil { return try await delete(gateway) }
            if let refusal = Self.refusal(of: gateway, settings) {
                return try await refuse(gateway, refusal.reason, refusal.message)
            }
            return try await provision(gateway)
        } catch {
            return Outcome(error, later: .seconds(settings.resyncSeconds))
        }
    }

    /// Why an object is not provisioned as it is: it breaks a rule, or asks for what the operator has not opened to it.
    static func refusal(
        of gateway: StaticGatewayConfiguration, _ settings: ManagerSettings
    ) -> (reason: String, message: String)? {
        let violations = StaticGatewayRules.violations(gateway.spec)
        guard violations.isEmpty else {
            return ("InvalidSpec", violations.map(\.description).joined(separator: "; "))
        }
        let prefixID = gateway.spec.publicIpPrefixId
        guard !prefixID.isEmpty,
            let refusal = settings.broughtPrefixes?.refusal(of: prefixID, in: gateway.metadata.namespace)
        else { return nil }
        return (PrefixAllowList.reason, "spec.publicIpPrefixId \(refusal)")
    }

    /// An object that breaks a rule waits for its author: no retry until it changes.
    private func refuse(
        _ gateway: StaticGatewayConfiguration, _ reason: String, _ message: String
    ) async throws -> Outcome {
        var status = gateway.status ?? StaticGatewayConfigurationStatus()
        status.conditions = Conditions.setting(
            Condition(
                type: "Ready", status: "False", observedGeneration: gateway.metadata.generation,
                reason: reason, message: message), in: status.conditions, now: Timestamp(now()))
        // Told once: the write of the condition brings this key back.
        if try await objects.setStatus(status, replacing: gateway.status, on: gateway) {
            await events.warning(gateway.objectReference, reason: reason, message: message)
        }
        return .terminal(HostError(.invalidObject, message))
    }

    private func provision(_ found: StaticGatewayConfiguration) async throws -> Outcome {
        let gateway = try await objects.addFinalizer(GatewayNames.staticGatewayFinalizer, to: found)
        var status = gateway.status ?? StaticGatewayConfigurationStatus()
        var failure: Condition?
        do {
            let secret = try await ensureKeys(of: gateway)
            status.gatewayServerProfile.privateKeySecretRef = ObjectReference(
                apiVersion: "v1", kind: "Secret", namespace: secret.metadata.namespace, name: secret.metadata.name)
            status.gatewayServerProfile.publicKey = String(
                decoding: secret.data[GatewayNames.publicKeyField] ?? Data(), as: UTF8.self)
            let balancer = try await ensureLoadBalancerConfiguration(of: gateway)
            if balancer.metadata.deletionTimestamp == nil, let observed = balancer.status {
                status.gatewayServerProfile.ip = observed.frontendIp
                status.gatewayServerProfile.port = observed.serverPort
                status.egressIpPrefix = observed.egressIpPrefix
                status.egressIpv6Prefix = observed.egressIpv6Prefix
                failure = FailureCondition.failure(
                    in: observed.conditions, generation: balancer.metadata.generation)
            }
        } catch {
            await events.warning(
                gateway.objectReference, reason: "ReconcileError", message: String(describing: error))
            throw error
        }
        status.conditions = FailureCondition.setting(
            Self.readiness(status, failure: failure, generation: gateway.metadata.generation), in: status.conditions,
            now: now())
        for part in Self.parts(status, failure: failure, generation: gateway.metadata.generation) {
            status.conditions = FailureCondition.setting(part, in: status.conditions, now: now())
        }
        if let use = uses[ObjectKey(gateway)] {
            status = use.entered(in: status, generation: gateway.metadata.generation, now: Timestamp(now()))
        }
        // A failure has had its Event where it was met.
        let isNews = Self.isNews(status, after: gateway.status)
        if try await objects.setStatus(status, replacing: gateway.status, on: gateway), isNews, failure == nil {
            let isReady = !status.egressIpPrefix.isEmpty
            await events.normal(
                gateway.objectReference, reason: isReady ? "Reconciled" : "Reconciling",
                message: "egress prefix: \(isReady ? status.egressIpPrefix : "<pending>")")
        }
        return .done
    }

    /// Whether more has changed than what comes and goes with pods and nodes, which is worth no Event.
    private static func isNews(
        _ new: StaticGatewayConfigurationStatus, after old: StaticGatewayConfigurationStatus?
    ) -> Bool {
        func lasting(_ status: StaticGatewayConfigurationStatus) -> StaticGatewayConfigurationStatus {
            var status = status
            (status.pods, status.healthyGateways) = (nil, "")
            status.conditions?.removeAll { $0.type == GatewayUse.conditionType }
            return status
        }
        return lasting(new) != lasting(old ?? StaticGatewayConfigurationStatus())
    }

    /// Whether pods can use the gateway, and if not, what is still missing.
    ///
    /// - Parameter failure: what a provider cannot do until a person acts; a gateway that was provisioned before goes on
    ///   serving, and yet is not as its author wants it.
    static func readiness(
        _ status: StaticGatewayConfigurationStatus, failure: Condition?, generation: Int64
    ) -> Condition {
        var condition = Condition(type: FailureCondition.type, status: "False", observedGeneration: generation)
        if let failure {
            condition.reason = failure.reason
            condition.message = failure.message
            if !status.egressIpPrefix.isEmpty {
                condition.message += "; traffic still leaves from \(status.egressIpPrefix)"
            }
        } else if status.gatewayServerProfile.ip.isEmpty || status.gatewayServerProfile.port == 0 {
            condition.reason = "LoadBalancerPending"
            condition.message = "the load balancer has no address and port for this configuration yet"
        } else if status.egressIpPrefix.isEmpty {
            condition.reason = "NodesPending"
            condition.message = "the gateway nodes have no egress addresses for this configuration yet"
        } else {
            condition.status = "True"
            condition.reason = "Provisioned"
            condition.message = "traffic leaves from \(status.egressIpPrefix)"
        }
        return condition
    }

    /// What ``readiness(_:failure:generation:)`` puts together, for who wants to know which part is missing.
    static func parts(
        _ status: StaticGatewayConfigurationStatus, failure: Condition?, generation: Int64
    ) -> [Condition] {
        let profile = status.gatewayServerProfile
        let hasEndpoint = !profile.ip.isEmpty && profile.port != 0
        let hasPrefix = !status.egressIpPrefix.isEmpty
        func part(_ type: String, _ isThere: Bool, _ pending: String, _ message: String) -> Condition {
            Condition(
                type: type, status: isThere ? "True" : "False", observedGeneration: generation,
                reason: isThere ? "Provisioned" : failure?.reason ?? pending,
                message: isThere ? message : failure?.message ?? "not there yet")
        }
        let isDegraded = failure != nil && hasPrefix
        return [
            part(
                "LoadBalancerReady", hasEndpoint, "LoadBalancerPending",
                "pods reach the gateway at \(profile.ip):\(profile.port)"),
            part("NodesReady", hasPrefix, "NodesPending", "gateway nodes send from \(status.egressIpPrefix)"),
            Condition(
                type: "Degraded", status: isDegraded ? "True" : "False", observedGeneration: generation,
                reason: isDegraded ? failure?.reason ?? "" : "AsDesired",
                message: isDegraded ? failure?.message ?? "" : "no difference from what is desired is known"),
        ]
    }

    // MARK: Keys

    /// The Secret with a whole and matching key pair; made or mended if it is not there.
    private func ensureKeys(of gateway: StaticGatewayConfiguration) async throws -> Secret {
        let name = GatewayNames.keySecret(uid: gateway.metadata.uid)
        let labels = [
            GatewayNames.owningNamespaceLabel: gateway.metadata.namespace,
            GatewayNames.owningNameLabel: gateway.metadata.name,
        ]
        guard let secret = try await objects.find(Secret.self, namespace: settings.secretNamespace, name: name) else {
            return try await objects.client.create(
                Secret(
                    metadata: ObjectMeta(name: name, namespace: settings.secretNamespace, labels: labels),
                    type: "Opaque", data: Self.keyData(try generateKey())))
        }
        var patch: [String: JSONValue] = [:]
        if let data = try Self.repairedKeyData(secret.data, generateKey) {
            patch["data"] = try JSONValue(encoding: data)
        }
        if !labels.allSatisfy({ secret.metadata.labels[$0.key] == $0.value }) {
            patch["metadata"] = ["labels": try JSONValue(encoding: labels)]
        }
        guard !patch.isEmpty else { return secret }
        return try await objects.client.mergePatch(
            Secret.self, namespace: settings.secretNamespace, name: name, patch: JSONValue.object(patch),
            resourceVersion: secret.metadata.resourceVersion)
    }

    /// What is wrong with a Secret's keys, as the data to write; nil if nothing is. A readable private key is kept at any
    /// cost: pods that run know its public half.
    static func repairedKeyData(
        _ data: [String: Data], _ generateKey: () throws -> WireGuardPrivateKey = { try .generate() }
    ) throws -> [String: Data]? {
        let text = String(decoding: data[GatewayNames.privateKeyField] ?? Data(), as: UTF8.self)
        guard let privateKey = try? WireGuardPrivateKey(parsing: text) else {
            return keyData(try generateKey())
        }
        let whole = keyData(privateKey)
        return data[GatewayNames.publicKeyField] == whole[GatewayNames.publicKeyField] ? nil : whole
    }

    private static func keyData(_ privateKey: WireGuardPrivateKey) -> [String: Data] {
        [
            GatewayNames.privateKeyField: Data(privateKey.exportBase64().utf8),
            GatewayNames.publicKeyField: Data(privateKey.publicKey.description.utf8),
        ]
    }

    // MARK: Children

    private func ensureLoadBalancerConfiguration(
        of gateway: StaticGatewayConfiguration
    ) async throws -> GatewayLBConfiguration {
        try await objects.ensure(
            GatewayLBConfiguration(
                metadata: ObjectMeta(
                    name: gateway.metadata.name, namespace: gateway.metadata.namespace,
                    ownerReferences: [gateway.ownerReference()]),
                spec: GatewayConfigurationSpec(gateway.spec)),
            spec: \.spec)
    }

    /// Removes the Secret and the GatewayLBConfiguration; the object goes when both are gone.
    private func delete(_ gateway: StaticGatewayConfiguration) async throws -> Outcome {
        // Its name is its owner's UID, so it can be no other's.
        let secretExists = try await objects.delete(
            Secret.self, namespace: settings.secretNamespace,
            name: GatewayNames.keySecret(uid: gateway.metadata.uid))
        let balancerExists = try await objects.deleteChild(GatewayLBConfiguration.self, of: gateway)
        // The deletion event of the GatewayLBConfiguration brings this key back at once; the Secret is not watched.
        if secretExists || balancerExists { return .requeue(after: .seconds(balancerExists ? 5 : 1)) }
        try await objects.removeFinalizer(GatewayNames.staticGatewayFinalizer, from: gateway)
        return .done
    }
}
