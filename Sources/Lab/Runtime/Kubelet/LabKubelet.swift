import Foundation
import JSONModel
import Kubernetes
import LinuxNet
import Logging
import Reconcile

/// The worker's kubelet and the cluster's scheduler in one: pods without a node go to the worker; a pod of the worker
/// becomes a network namespace attached by the node's CNI configuration. There is no container process in it.
public actor LabKubelet {
    private let client: KubernetesClient
    private let runtime: CNIRuntime
    private let plan: LabPlan
    private let nodeName: String
    private let nodeAddress: String
    private let logger: Logger
    /// The reflector's; nil before `run`.
    private var pods: ObjectStore<Pod>?
    private var sandboxes: [ObjectKey: PodSandbox] = [:]
    private var attachments: [ObjectKey: PodAttachmentRecord] = [:]
    /// Pods that cannot start, by UID.
    private var failures: [String: Failure] = [:]

    private struct Failure {
        /// Name of the one Event about it; nil until it is written.
        var event: String?
        var count: Int32
        /// Not to be tried before. The status written about the failure is a change that would try at once.
        var nextAttempt: ContinuousClock.Instant
    }

    /// Enough for the pods of a one-machine lab to start side by side.
    private static let concurrency = 8
    /// Between attempts to start a pod; a kubelet's own are longer. For errors of the API server, too.
    private static let backoff = BackoffPolicy(base: .seconds(1), cap: .seconds(4))

    public init(
        client: KubernetesClient, runtime: CNIRuntime, plan: LabPlan, nodeName: String, nodeAddress: String,
        logger: Logger
    ) {
        self.client = client
        self.runtime = runtime
        self.plan = plan
        self.nodeName = nodeName
        self.nodeAddress = nodeAddress
        self.logger = logger
    }

    /// Runs pods until the task is cancelled. The pods' namespaces stay.
    public func run() async throws {
        let controller = Controller(
            name: "kubelet", concurrency: Self.concurrency, backoff: Self.backoff, logger: logger
        ) { [weak self] key in
            await self?.reconcile(key) ?? .done
        }
        let reflector = Reflector(Pod.self, client: client, logger: logger) { controller.enqueue($0) }
        pods = reflector.store
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await reflector.run() }
            group.addTask { await controller.run() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// When and how fast each running pod was attached.
    public func attachmentRecords() -> [PodAttachmentRecord] {
        attachments.sorted { $0.key < $1.key }.map(\.value)
    }

    private func bind(_ pod: Pod) async throws {
        let metadata = pod.metadata
        guard plan.apiServer == .real else {
            return try await client.bind(pod: metadata.name, namespace: metadata.namespace, to: nodeName)
        }
        // Bindings belong to what Kubernetes' libraries leave out; so do the rules that refuse this.
        let patch: JSONValue = ["spec": ["nodeName": .string(nodeName)]]
        try await client.mergePatch(
            Pod.self, namespace: metadata.namespace, name: metadata.name, patch: patch,
            resourceVersion: metadata.resourceVersion)
    }

    private func reconcile(_ key: ObjectKey) async -> Outcome {
        let pod = pods?[key]
        let action = PodPlan.next(pod: pod, sandboxUID: sandboxes[key]?.podUID, nodeName: nodeName)
        do {
            switch (action, pod) {
            case (.bind, let pod?): try await bind(pod)
            case (.start, let pod?):
                let rest = failures[pod.metadata.uid].map { $0.nextAttempt - ContinuousClock().now } ?? .zero
                if rest > .zero { return .requeue(after: rest) }
                return try await start(pod, key)
            case (.stop, _):
                try await stop(key)
                return .requeue(after: .zero)
            case (.finishDeletion, let pod?): try await finishDeletion(pod)
            default: break
            }
            return .done
        } catch let error as KubernetesError where error.code == .conflict {
            return .conflict
        } catch let error as KubernetesError where error.code == .notFound {
            return .done
        } catch {
            return .retry(error)
        }
    }

    private func start(_ pod: Pod, _ key: ObjectKey) async throws -> Outcome {
        let sandbox = try PodSandbox(pod, plan: plan)
        try await sandbox.create()
        let (clock, begin, date) = (ContinuousClock(), ContinuousClock().now, Date())
        let address: String
        do {
            guard let podIP = try await runtime.add(sandbox.attachment).podIP else {
                throw LabError(
                    code: .processFailed, message: "the CNI plugins gave pod \(key) no address",
                    advice: "check the node's CNI configuration")
            }
            address = podIP
        } catch {
            try? await sandbox.remove()
            logger.warning("pod not attached", metadata: ["pod": "\(key)", "error": "\(error)"])
            return .requeue(after: await reportFailure(pod, error))
        }
        let duration = (clock.now - begin).components
        sandboxes[key] = sandbox
        attachments[key] = PodAttachmentRecord(
            namespace: key.namespace, name: key.name, addStarted: date.timeIntervalSince1970,
            addSeconds: Double(duration.seconds) + Double(duration.attoseconds) / 1e18, podIP: address)
        failures[pod.metadata.uid] = nil
        logger.info("pod attached", metadata: ["pod": "\(key)", "address": "\(address)"])
        try await client.mergePatch(
            Pod.self, namespace: key.namespace, name: key.name,
            patch: PodStatusPatch.running(pod, address: address, hostAddress: nodeAddress, now: Timestamp(date)),
            subresource: .status)
        return .done
    }

    private func stop(_ key: ObjectKey) async throws {
        guard let sandbox = sandboxes[key] else { return }
        try await runtime.delete(sandbox.attachment)
        try await sandbox.remove()
        sandboxes[key] = nil
        attachments[key] = nil
        logger.info("pod detached", metadata: ["pod": "\(key)"])
    }

    private func finishDeletion(_ pod: Pod) async throws {
        failures[pod.metadata.uid] = nil
        try await client.delete(
            Pod.self, namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid,
            gracePeriodSeconds: 0)
    }

    /// Tells the pod's owner by status and Event. What cannot be told is logged: the failure itself counts more.
    ///
    /// - Returns: When to try again.
    private func reportFailure(_ pod: Pod, _ failure: any Error) async -> Duration {
        let uid = pod.metadata.uid
        var random = SystemRandomNumberGenerator()
        let count = (failures[uid]?.count ?? 0) + 1
        let delay = Self.backoff.delay(failures: Int(count) - 1, using: &random)
        failures[uid] = Failure(
            event: failures[uid]?.event, count: count, nextAttempt: ContinuousClock().now + delay)
        let message = "Failed to create pod sandbox: \(failure)"
        do {
            try await client.mergePatch(
                Pod.self, namespace: pod.metadata.namespace, name: pod.metadata.name,
                patch: PodStatusPatch.waiting(pod, message: message), subresource: .status)
            try await writeEvent(pod, reason: "FailedCreatePodSandBox", message: message, count: count)
        } catch {
            logger.warning("pod failure not reported", metadata: ["error": "\(error)"])
        }
        return delay
    }

    private func writeEvent(_ pod: Pod, reason: String, message: String, count: Int32) async throws {
        let now = Timestamp(Date())
        if let known = failures[pod.metadata.uid]?.event {
            let patch: JSONValue = [
                "count": .integer(Int64(count)), "message": .string(message), "lastTimestamp": .string(now.text),
            ]
            try await client.mergePatch(Event.self, namespace: pod.metadata.namespace, name: known, patch: patch)
            return
        }
        let name = "\(pod.metadata.name).\(String(UInt64(Date().timeIntervalSince1970 * 1e6), radix: 16))"
        try await client.create(
            Event(
                metadata: ObjectMeta(name: name, namespace: pod.metadata.namespace),
                involvedObject: pod.objectReference, reason: reason, message: message, type: "Warning",
                source: EventSource(component: "kubelet", host: nodeName), firstTimestamp: now, lastTimestamp: now,
                count: count))
        failures[pod.metadata.uid]?.event = name
    }
}
