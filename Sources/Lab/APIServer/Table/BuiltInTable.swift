import FoundationEssentials

/// Columns and cells of the built-in kinds, as the real server prints them (k8s.io/kubernetes/pkg/printers).
enum BuiltInTable {
    static func columns(of resource: ResourceDescriptor) -> [PrinterColumn] {
        let name = column("Name", format: "name")
        let age = column("Age")
        switch resource.kind {
        case "Pod":
            return [
                name, column("Ready"), column("Status"), column("Restarts"), age, column("IP", wide: true),
                column("Node", wide: true), column("Nominated Node", wide: true),
                column("Readiness Gates", wide: true),
            ]
        case "Node":
            return [
                name, column("Status"), column("Roles"), age, column("Version"), column("Internal-IP", wide: true),
                column("External-IP", wide: true), column("OS-Image", wide: true),
                column("Kernel-Version", wide: true), column("Container-Runtime", wide: true),
            ]
        case "Namespace": return [name, column("Status"), age]
        case "Secret": return [name, column("Type"), column("Data", type: "integer"), age]
        case "ConfigMap": return [name, column("Data", type: "integer"), age]
        case "Lease": return [name, column("Holder"), age]
        case "CustomResourceDefinition": return [name, column("Created At", type: "date")]
        case "Event":
            return [
                column("Last Seen"), column("Type"), column("Reason"), column("Object"),
                column("Subobject", wide: true), column("Source", wide: true), column("Message"),
                column("First Seen", wide: true), column("Count", type: "integer", wide: true),
                column("Name", format: "name", wide: true),
            ]
        default: return [name, age]
        }
    }

    private static func column(
        _ name: String, type: String = "string", format: String = "", wide: Bool = false
    ) -> PrinterColumn {
        PrinterColumn(name: name, type: type, format: format, priority: wide ? 1 : 0, jsonPath: "")
    }

    static func cells(of object: APIValue, resource: ResourceDescriptor, now: Date) -> [APIValue] {
        let name = object[path: "metadata", "name"] ?? ""
        let created = object[path: "metadata", "creationTimestamp"]
        let age = APIValue.string(APITime.age(of: created?.stringValue, at: now))
        switch resource.kind {
        case "Pod": return podCells(object, name, age)
        case "Node": return nodeCells(object, name, age)
        case "Namespace": return [name, object[path: "status", "phase"] ?? "", age]
        case "Secret": return [name, object["type"] ?? "Opaque", count(object["data"]), age]
        case "ConfigMap":
            let total = (object["data"]?.objectValue?.count ?? 0) + (object["binaryData"]?.objectValue?.count ?? 0)
            return [name, .integer(Int64(total)), age]
        case "Lease": return [name, object[path: "spec", "holderIdentity"] ?? "", age]
        case "CustomResourceDefinition": return [name, created ?? ""]
        case "Event": return eventCells(object, name, now)
        default: return [name, age]
        }
    }

    private static func count(_ value: APIValue?) -> APIValue { .integer(Int64(value?.objectValue?.count ?? 0)) }

    private static func text(_ value: APIValue?, or fallback: String = "<none>") -> APIValue {
        guard let text = value?.stringValue, !text.isEmpty else { return .string(fallback) }
        return .string(text)
    }

    private static func podCells(_ object: APIValue, _ name: APIValue, _ age: APIValue) -> [APIValue] {
        let status = object["status"] ?? [:]
        let statuses = status["containerStatuses"]?.arrayValue ?? []
        let ready = statuses.filter { $0["ready"]?.boolValue == true }.count
        let total = object[path: "spec", "containers"]?.arrayValue?.count ?? 0
        let restarts = statuses.reduce(Int64(0)) { $0 + ($1["restartCount"]?.integerValue ?? 0) }
        var phase = status["reason"]?.stringValue ?? status["phase"]?.stringValue ?? "Unknown"
        for container in statuses {
            if let reason = container[path: "state", "waiting", "reason"]?.stringValue { phase = reason }
            if let reason = container[path: "state", "terminated", "reason"]?.stringValue { phase = reason }
        }
        if object[path: "metadata", "deletionTimestamp"] != nil { phase = "Terminating" }
        return [
            name, .string("\(ready)/\(total)"), .string(phase), .string(String(restarts)), age,
            text(status["podIP"]), text(object[path: "spec", "nodeName"]), text(status["nominatedNodeName"]),
            "<none>",
        ]
    }

    private static func nodeCells(_ object: APIValue, _ name: APIValue, _ age: APIValue) -> [APIValue] {
        let conditions = object[path: "status", "conditions"]?.arrayValue ?? []
        let readiness = conditions.first { $0["type"] == "Ready" }?["status"]?.stringValue
        var status = readiness == "True" ? "Ready" : readiness == nil ? "Unknown" : "NotReady"
        if object[path: "spec", "unschedulable"]?.boolValue == true { status += ",SchedulingDisabled" }
        let prefix = "node-role.kubernetes.io/"
        let roles = (object[path: "metadata", "labels"]?.objectValue ?? [:]).keys
            .filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }.sorted()
        let addresses = object[path: "status", "addresses"]?.arrayValue ?? []
        func address(_ type: APIValue) -> APIValue { text(addresses.first { $0["type"] == type }?["address"]) }
        let info = object[path: "status", "nodeInfo"] ?? [:]
        return [
            name, .string(status), .string(roles.isEmpty ? "<none>" : roles.joined(separator: ",")), age,
            text(info["kubeletVersion"], or: ""), address("InternalIP"), address("ExternalIP"),
            text(info["osImage"], or: "<unknown>"), text(info["kernelVersion"], or: "<unknown>"),
            text(info["containerRuntimeVersion"], or: "<unknown>"),
        ]
    }

    private static func eventCells(_ object: APIValue, _ name: APIValue, _ now: Date) -> [APIValue] {
        let born = object["eventTime"]?.stringValue ?? object[path: "metadata", "creationTimestamp"]?.stringValue
        let first = object["firstTimestamp"]?.stringValue ?? born
        let last =
            object[path: "series", "lastObservedTime"]?.stringValue ?? object["lastTimestamp"]?.stringValue ?? first
        let involved = object["involvedObject"] ?? [:]
        let kind = involved["kind"]?.stringValue?.lowercased() ?? ""
        let source = [object[path: "source", "component"], object[path: "source", "host"]]
            .compactMap { $0?.stringValue }.joined(separator: ", ")
        return [
            .string(APITime.age(of: last, at: now)), text(object["type"], or: ""), text(object["reason"], or: ""),
            .string("\(kind)/\(involved["name"]?.stringValue ?? "")"), text(involved["fieldPath"], or: ""),
            .string(source.isEmpty ? object["reportingComponent"]?.stringValue ?? "" : source),
            .string((object["message"]?.stringValue ?? "").trimmed), .string(APITime.age(of: first, at: now)),
            .integer(object[path: "series", "count"]?.integerValue ?? object["count"]?.integerValue ?? 1), name,
        ]
    }
}
