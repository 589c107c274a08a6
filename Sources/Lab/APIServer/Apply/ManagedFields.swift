/// `metadata.managedFields`: who owns which fields.
struct ManagedFields: Sendable, Equatable {
    /// Two writes of one program are two managers if they differ in any of these.
    struct Manager: Hashable, Sendable {
        enum Operation: String, Sendable {
            case apply = "Apply"
            case update = "Update"
        }

        var name: String
        var operation: Operation
        var apiVersion: String
        /// Empty for the object itself.
        var subresource: String

        /// As conflicts name it.
        var text: String {
            let place = subresource.isEmpty ? "" : " with subresource \"\(subresource)\""
            return "\(APIValue.string(name).text)\(place)" + (operation == .update ? " using \(apiVersion)" : "")
        }

        fileprivate var order: [String] { [operation.rawValue, name, apiVersion, subresource] }
    }

    struct Entry: Sendable, Equatable {
        var fields: FieldSet
        /// RFC 3339.
        var time: String
    }

    /// Updates by more managers than this are put together as one, the oldest first
    /// (apimachinery/pkg/util/managedfields: DefaultMaxUpdateManagers).
    static let maximumUpdaters = 10
    private static let gathered = "ancient-changes"

    var entries: [Manager: Entry] = [:]

    init() {}

    /// Nil if the value is no list of entries that can be read.
    init?(_ value: APIValue?) {
        guard let list = value?.arrayValue else { return nil }
        for item in list {
            guard let fields = item["fieldsV1"].flatMap({ FieldSet(fieldsV1: $0) }), item["fieldsType"] == "FieldsV1",
                let operation = Manager.Operation(rawValue: item["operation"]?.stringValue ?? "")
            else { return nil }
            let manager = Manager(
                name: item["manager"]?.stringValue ?? "", operation: operation,
                apiVersion: item["apiVersion"]?.stringValue ?? "",
                subresource: item["subresource"]?.stringValue ?? "")
            entries[manager] = Entry(fields: fields, time: item["time"]?.stringValue ?? "")
        }
    }

    /// Nil if nobody owns anything. Sorted by operation, then time, then manager.
    var value: APIValue? {
        guard !entries.isEmpty else { return nil }
        let sorted = entries.sorted { left, right in
            let (first, second) = (left.key.order, right.key.order)
            if first[0] != second[0] { return first[0] < second[0] }
            if left.value.time != right.value.time { return left.value.time < right.value.time }
            return first.lexicographicallyPrecedes(second)
        }
        return .array(
            sorted.map { manager, entry in
                var item: APIValue = [
                    "manager": .string(manager.name), "operation": .string(manager.operation.rawValue),
                    "apiVersion": .string(manager.apiVersion), "time": .string(entry.time),
                    "fieldsType": "FieldsV1", "fieldsV1": entry.fields.fieldsV1,
                ]
                if !manager.subresource.isEmpty { item["subresource"] = .string(manager.subresource) }
                return item
            })
    }

    /// What any manager owns.
    var allFields: FieldSet { entries.values.reduce(FieldSet()) { $0.union($1.fields) } }

    /// Keeps the number of updaters bounded.
    mutating func gatherOldUpdaters() {
        let updaters = entries.filter { $0.key.operation == .update }
        guard updaters.count > Self.maximumUpdaters else { return }
        let oldest = updaters.sorted { ($0.value.time, $0.key.name) < ($1.value.time, $1.key.name) }
            .prefix(updaters.count - Self.maximumUpdaters + 1)
        for (manager, entry) in oldest {
            entries[manager] = nil
            let heap = Manager(
                name: Self.gathered, operation: .update, apiVersion: manager.apiVersion,
                subresource: manager.subresource)
            let before = entries[heap]
            entries[heap] = Entry(
                fields: entry.fields.union(before?.fields ?? FieldSet()), time: max(entry.time, before?.time ?? ""))
        }
    }
}
