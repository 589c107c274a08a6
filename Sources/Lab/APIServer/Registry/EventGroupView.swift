/// A kind that shows the stored objects of another one under its own names, as the real server serves one stored object
/// in several groups and versions. Pure.
protocol ResourceView: Sendable {
    /// Where the objects are.
    var storage: GroupResource { get }
    /// A stored object as this kind shows it.
    func served(_ stored: APIValue) -> APIValue
    /// An object of this kind as it is stored.
    func stored(_ served: APIValue) -> APIValue
    /// What is wrong with an object of this kind, beyond the rules of the stored one; `old` is nil on create.
    func validate(_ object: APIValue, old: APIValue?) -> [APIStatusError.Cause]
    /// Names of fields for selectors, with the stored kind's names for them.
    var selectableFields: [String: String] { get }
}

extension ResourceView {
    /// A stored body as this kind shows it.
    func served(_ object: APIStoredObject) throws(APIStatusError) -> [UInt8] { served(try object.decoded()).encoded() }
}

/// Events of events.k8s.io/v1, which are those of core/v1 with other names of fields and stricter rules
/// (k8s.io/kubernetes/pkg/apis/events/v1/conversion.go, pkg/apis/core/validation/events.go).
struct EventGroupView: ResourceView {
    /// The names here and those in core/v1.
    private static let names = [
        "regarding": "involvedObject", "note": "message", "reportingController": "reportingComponent",
        "deprecatedSource": "source", "deprecatedFirstTimestamp": "firstTimestamp",
        "deprecatedLastTimestamp": "lastTimestamp", "deprecatedCount": "count",
    ]
    private static let storedNames = Dictionary(uniqueKeysWithValues: names.map { ($1, $0) })
    /// Only these change once an event is there.
    private static let changeable: Set<String> = ["apiVersion", "kind", "metadata", "series"]

    let storage = GroupResource(group: "", resource: "events")

    func served(_ stored: APIValue) -> APIValue {
        var value = Self.renamed(stored, Self.storedNames)
        value["apiVersion"] = "events.k8s.io/v1"
        return value
    }

    func stored(_ served: APIValue) -> APIValue {
        var value = Self.renamed(served, Self.names)
        value["apiVersion"] = "v1"
        return value
    }

    private static func renamed(_ value: APIValue, _ names: [String: String]) -> APIValue {
        guard let members = value.objectValue else { return value }
        return .object(Dictionary(members.map { (names[$0.key] ?? $0.key, $0.value) }) { first, _ in first })
    }

    var selectableFields: [String: String] {
        var fields = ["reason": "reason", "type": "type", "reportingController": "reportingComponent"]
        for name in ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"] {
            fields["regarding.\(name)"] = "involvedObject.\(name)"
        }
        for name in ["metadata.name", "metadata.namespace"] { fields[name] = name }
        return fields
    }

    func validate(_ object: APIValue, old: APIValue?) -> [APIStatusError.Cause] {
        if let old {
            let names = Set((object.objectValue ?? [:]).keys).union((old.objectValue ?? [:]).keys)
            let changed = names.subtracting(Self.changeable).filter { object[$0] != old[$0] }
            return seriesCauses(object)
                + changed.sorted().map { .invalid($0, object[$0] ?? .null, "field is immutable") }
        }
        var causes: [APIStatusError.Cause] = []
        if text(object, "eventTime").isEmpty { causes.append(.required("eventTime")) }
        if !APIName.isQualifiedName(text(object, "reportingController")) {
            causes.append(
                .invalid(
                    "reportingController", object["reportingController"] ?? "", "name part must consist of a name"))
        }
        for field in ["reportingInstance", "action", "reason"] {
            let count = text(object, field).utf8.count
            if count == 0 { causes.append(.required(field)) }
            if count > 128 { causes.append(.invalid(field, "", "can have at most 128 characters")) }
        }
        if text(object, "note").utf8.count > 1024 {
            causes.append(.invalid("note", "", "can have at most 1024 characters"))
        }
        if !["Normal", "Warning"].contains(text(object, "type")) {
            causes.append(.invalid("type", object["type"] ?? "", "has invalid value"))
        }
        for field in Self.names.keys.filter({ $0.hasPrefix("deprecated") }).sorted() where !isUnset(object[field]) {
            causes.append(.invalid(field, object[field] ?? .null, "needs to be unset"))
        }
        return causes + seriesCauses(object)
    }

    private func seriesCauses(_ object: APIValue) -> [APIStatusError.Cause] {
        guard let series = object["series"], !isUnset(series) else { return [] }
        var causes: [APIStatusError.Cause] = []
        if (series["count"]?.integerValue ?? 0) < 2 {
            causes.append(.invalid("series.count", series["count"] ?? 0, "should be at least 2"))
        }
        if (series["lastObservedTime"]?.stringValue ?? "").isEmpty {
            causes.append(.required("series.lastObservedTime"))
        }
        return causes
    }

    private func text(_ object: APIValue, _ field: String) -> String { object[field]?.stringValue ?? "" }

    private func isUnset(_ value: APIValue?) -> Bool {
        guard let value else { return true }
        return value == .null || value == 0 || value == "" || value.objectValue?.isEmpty == true
    }
}
