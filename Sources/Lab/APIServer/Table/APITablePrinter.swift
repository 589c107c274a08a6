import FoundationEssentials

/// Turns objects into the rows of a `meta.k8s.io/v1` Table, which is what `kubectl get` prints.
struct APITablePrinter: Sendable {
    /// How much of each object goes with its row.
    enum IncludedObject: String, Sendable {
        case none = "None"
        case metadata = "Metadata"
        case whole = "Object"
    }

    let resource: ResourceDescriptor
    let included: IncludedObject
    let now: Date

    /// The table of some objects; `showsColumns` is false for later events of a watch.
    func table(of objects: [APIValue], metadata: APIValue, showsColumns: Bool = true) -> APIValue {
        [
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "columnDefinitions": showsColumns ? .array(columnDefinitions) : .array([]),
            "rows": .array(objects.map(row)),
        ]
    }

    private var columnDefinitions: [APIValue] {
        let custom = resource.printerColumns.map { columns in
            [PrinterColumn(name: "Name", type: "string", format: "name", jsonPath: "")]
                + columns
        }
        return (custom ?? BuiltInTable.columns(of: resource)).map { column in
            [
                "name": .string(column.name), "type": .string(column.type), "format": .string(column.format),
                "description": .string(column.description), "priority": .integer(column.priority),
            ]
        }
    }

    private func row(_ object: APIValue) -> APIValue {
        let cells =
            resource.printerColumns.map { customCells(object, $0) }
            ?? BuiltInTable.cells(of: object, resource: resource, now: now)
        var row: APIValue = ["cells": .array(cells)]
        switch included {
        case .none: break
        case .metadata: row["object"] = Self.partialMetadata(object)
        case .whole: row["object"] = object
        }
        return row
    }

    private func customCells(_ object: APIValue, _ columns: [PrinterColumn]) -> [APIValue] {
        [object[path: "metadata", "name"] ?? ""] + columns.map { cell($0, of: object) }
    }

    private func cell(_ column: PrinterColumn, of object: APIValue) -> APIValue {
        guard let path = APIPathExpression(column.jsonPath) else { return .null }
        let values = path.values(in: object)
        guard let first = values.first else { return .null }
        switch column.type {
        case "integer": return first.integerValue.map(APIValue.integer) ?? .null
        case "number": return first.doubleValue.map(APIValue.number) ?? .null
        case "boolean": return first.boolValue.map(APIValue.bool) ?? .null
        case "date": return .string(APITime.age(of: first.stringValue, at: now))
        default: return .string(values.map { $0.stringValue ?? $0.text }.joined(separator: ","))
        }
    }

    /// The object reduced to its metadata.
    static func partialMetadata(_ object: APIValue) -> APIValue {
        [
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] ?? [:],
        ]
    }
}
