import Foundation
import Yams

/// The rendered manifests of this checkout, and what tests ask of them.
struct Manifests {
    typealias Object = [String: Any]

    let objects: [Object]

    static var root: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    init() throws {
        let text = try String(
            contentsOf: Self.root.appending(path: "deploy/manifests/kube-egress-gateway.yaml"), encoding: .utf8)
        objects = try Yams.load_all(yaml: text).compactMap { $0 as? Object }
    }

    func all(_ kind: String) -> [Object] { objects.filter { $0["kind"] as? String == kind } }

    func object(_ kind: String, _ name: String) -> Object? { all(kind).first { Self.name($0) == name } }

    /// Deployment and DaemonSets.
    var workloads: [Object] { all("Deployment") + all("DaemonSet") }

    static func name(_ object: Object) -> String { value(object, "metadata", "name") as? String ?? "" }

    static func value(_ object: Object, _ path: String...) -> Any? {
        var current: Any? = object
        for step in path { current = (current as? Object)?[step] }
        return current
    }

    static func pod(_ workload: Object) -> Object { value(workload, "spec", "template", "spec") as? Object ?? [:] }

    static func containers(_ workload: Object) -> [Object] {
        (pod(workload)["initContainers"] as? [Object] ?? []) + (pod(workload)["containers"] as? [Object] ?? [])
    }

    /// Host configuration text of a role's ConfigMap.
    func hostConfiguration(_ name: String) -> String? {
        object("ConfigMap", name).flatMap { Self.value($0, "data", "host.yaml") as? String }
    }
}
