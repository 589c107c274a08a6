/// Pod: defaults, immutability of the spec and graceful deletion as in the real server; the deep validation of
/// container fields is not done here.
struct PodBehaviour: ResourceBehaviour {
    func prepareForCreate(_ object: inout APIValue, at time: String) {
        object["status"] = ["phase": "Pending"]
        guard var spec = object["spec"], spec.objectValue != nil else { return }
        setDefault("restartPolicy", "Always", in: &spec)
        setDefault("dnsPolicy", "ClusterFirst", in: &spec)
        setDefault("schedulerName", "default-scheduler", in: &spec)
        setDefault("terminationGracePeriodSeconds", 30, in: &spec)
        setDefault("securityContext", [:], in: &spec)
        setDefault("enableServiceLinks", true, in: &spec)
        for list in ["containers", "initContainers"] {
            guard let containers = spec[list]?.arrayValue else { continue }
            spec[list] = .array(containers.map(Self.withDefaults))
        }
        object["spec"] = spec
    }

    private func setDefault(_ name: String, _ value: APIValue, in spec: inout APIValue) {
        if spec[name] == nil { spec[name] = value }
    }

    private static func withDefaults(_ container: APIValue) -> APIValue {
        guard container.objectValue != nil else { return container }
        var container = container
        let image = container["image"]?.stringValue ?? ""
        let tag = image.split(separator: "/").last?.split(separator: ":").dropFirst().first
        if container["imagePullPolicy"] == nil {
            container["imagePullPolicy"] = tag == nil || tag == "latest" ? "Always" : "IfNotPresent"
        }
        if container["resources"] == nil { container["resources"] = [:] }
        if container["terminationMessagePath"] == nil {
            container["terminationMessagePath"] = "/dev/termination-log"
            container["terminationMessagePolicy"] = "File"
        }
        if let ports = container["ports"]?.arrayValue {
            container["ports"] = .array(
                ports.map { port in
                    var port = port
                    if port["protocol"] == nil { port["protocol"] = "TCP" }
                    return port
                })
        }
        return container
    }

    func validate(_ object: APIValue, old: APIValue?) -> [APIStatusError.Cause] {
        guard let spec = object["spec"], spec.objectValue != nil else {
            return [.required("spec.containers")]
        }
        var causes = Self.validateContainers(spec)
        if let policy = spec["restartPolicy"], !["Always", "OnFailure", "Never"].contains(policy) {
            causes.append(
                .notSupported("spec.restartPolicy", policy, supported: ["Always", "OnFailure", "Never"]))
        }
        if let old, Self.frozenSpec(of: object, old: old) != Self.frozenSpec(of: old, old: old) {
            causes.append(
                .forbidden(
                    "spec",
                    "pod updates may not change fields other than `spec.containers[*].image`,"
                        + "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
                        + "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be "
                        + "set to 1 if it was previously negative), and `spec.nodeName` of a pod that has none"))
        }
        return causes
    }

    private static func validateContainers(_ spec: APIValue) -> [APIStatusError.Cause] {
        guard let containers = spec["containers"]?.arrayValue, !containers.isEmpty else {
            return [.required("spec.containers")]
        }
        var causes: [APIStatusError.Cause] = []
        var names: Set<String> = []
        for list in ["containers", "initContainers"] {
            for (index, container) in (spec[list]?.arrayValue ?? []).enumerated() {
                let path = "spec.\(list)[\(index)]"
                guard let name = container["name"]?.stringValue, !name.isEmpty else {
                    causes.append(.required("\(path).name"))
                    continue
                }
                if !APIName.isLabel(name) { causes.append(.invalid("\(path).name", .string(name), APIName.labelRule)) }
                if !names.insert(name).inserted {
                    causes.append(
                        .init(
                            reason: "FieldValueDuplicate", message: "Duplicate value: \"\(name)\"",
                            field: "\(path).name"))
                }
                if (container["image"]?.stringValue ?? "").isEmpty { causes.append(.required("\(path).image")) }
            }
        }
        return causes
    }

    /// The part of the spec that may not change after creation.
    private static func frozenSpec(of object: APIValue, old: APIValue) -> APIValue {
        var spec = object["spec"] ?? [:]
        for name in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"] { spec[name] = nil }
        if old[path: "spec", "nodeName"] == nil { spec["nodeName"] = nil }
        for list in ["containers", "initContainers"] {
            guard let containers = spec[list]?.arrayValue else { continue }
            spec[list] = .array(
                containers.map { container in
                    var copy = container
                    copy["image"] = nil
                    return copy
                })
        }
        return spec
    }

    func selectableFields(_ object: APIValue) -> [String: String] {
        [
            "spec.nodeName": object[path: "spec", "nodeName"]?.stringValue ?? "",
            "spec.restartPolicy": object[path: "spec", "restartPolicy"]?.stringValue ?? "",
            "spec.schedulerName": object[path: "spec", "schedulerName"]?.stringValue ?? "",
            "spec.serviceAccountName": object[path: "spec", "serviceAccountName"]?.stringValue ?? "",
            "status.phase": object[path: "status", "phase"]?.stringValue ?? "",
            "status.podIP": object[path: "status", "podIP"]?.stringValue ?? "",
            "status.nominatedNodeName": object[path: "status", "nominatedNodeName"]?.stringValue ?? "",
        ]
    }

    /// A pod that no node runs goes at once; one on a node stays until its kubelet deletes it with zero grace.
    func gracePeriodSeconds(_ object: APIValue, requested: Int64?) -> Int64? {
        if (object[path: "spec", "nodeName"]?.stringValue ?? "").isEmpty { return 0 }
        if ["Failed", "Succeeded"].contains(object[path: "status", "phase"]?.stringValue ?? "") { return 0 }
        return max(0, requested ?? object[path: "spec", "terminationGracePeriodSeconds"]?.integerValue ?? 30)
    }
}
