import Foundation
import JSONModel
import Kubernetes

/// Merge patches for pods and nodes, as a kubelet writes them. Pure.
enum PodStatusPatch {
    /// The pod runs; `address` is its own, `hostAddress` the node's.
    static func running(_ pod: Pod, address: String, hostAddress: String, now: Timestamp) -> JSONValue {
        let time = JSONValue.string(now.text)
        let containers = (pod.spec?.containers ?? []).map { container -> JSONValue in
            [
                "name": .string(container.name), "image": .string(container.image ?? ""), "imageID": "",
                "ready": true, "started": true, "restartCount": 0, "state": ["running": ["startedAt": time]],
            ]
        }
        let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map { type -> JSONValue in
            ["type": .string(type), "status": "True", "lastTransitionTime": time]
        }
        return [
            "status": [
                "phase": "Running", "podIP": .string(address), "podIPs": [["ip": .string(address)]],
                "hostIP": .string(hostAddress), "startTime": time, "conditions": .array(conditions),
                "containerStatuses": .array(containers), "message": .null,
            ]
        ]
    }

    /// The pod cannot start yet, because of `message`.
    static func waiting(_ pod: Pod, message: String) -> JSONValue {
        let containers = (pod.spec?.containers ?? []).map { container -> JSONValue in
            [
                "name": .string(container.name), "image": .string(container.image ?? ""), "imageID": "",
                "ready": false, "restartCount": 0, "state": ["waiting": ["reason": "ContainerCreating"]],
            ]
        }
        return [
            "status": ["phase": "Pending", "message": .string(message), "containerStatuses": .array(containers)]
        ]
    }

    /// The node is ready.
    static func ready(address: String, now: Timestamp) -> JSONValue {
        [
            "status": [
                "addresses": [["type": "InternalIP", "address": .string(address)]],
                "conditions": [
                    [
                        "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the lab's node is up",
                        "lastTransitionTime": .string(now.text), "lastHeartbeatTime": .string(now.text),
                    ]
                ],
            ]
        ]
    }
}
