import FoundationEssentials
import JSONModel

extension ObjectMeta {
    /// What an API server sends of an object's metadata, `managedFields` and whatever else is not read here left out.
    init?(reading json: inout PlainJSONReader, _ shared: inout SharedValues) {
        var texts = Texts()
        var generation: Int?
        var labels: [String: String]?
        var annotations: [String: String]?
        var finalizers: [String]?
        var owners: [OwnerReference]?
        var creation: Timestamp?
        var deletion: Timestamp?
        let isPlain = json.object { json, name in
            if name == "managedFields" { return json.value() != nil }
            if let isPlain = texts.take(name, &json, &shared) { return isPlain }
            if name == "generation" { return take(&generation, &json) { $0.integer() } }
            if name == "labels" { return take(&labels, &json) { $0.value().flatMap { shared.map($0) } } }
            if name == "annotations" { return take(&annotations, &json) { $0.value().flatMap { shared.map($0) } } }
            if name == "finalizers" {
                return take(&finalizers, &json) { json in
                    json.array { $0.text().flatMap { shared.string($0) } }
                }
            }
            if name == "ownerReferences" {
                return take(&owners, &json) { json in json.array { OwnerReference(reading: &$0, &shared) } }
            }
            if name == "creationTimestamp" { return take(&creation, &json) { Timestamp(reading: &$0) } }
            if name == "deletionTimestamp" { return take(&deletion, &json) { Timestamp(reading: &$0) } }
            return json.value() != nil
        }
        guard isPlain else { return nil }
        self.init(
            name: texts.name ?? "", namespace: texts.namespace ?? "", generateName: texts.generateName ?? "",
            uid: texts.uid ?? "", resourceVersion: texts.resourceVersion ?? "",
            generation: Int64(generation ?? 0), labels: labels ?? [:], annotations: annotations ?? [:],
            finalizers: finalizers ?? [], ownerReferences: owners ?? [], creationTimestamp: creation,
            deletionTimestamp: deletion)
    }

    private struct Texts {
        var name: String?
        var namespace: String?
        var generateName: String?
        var uid: String?
        var resourceVersion: String?

        /// nil if the member is none of these.
        mutating func take(
            _ member: PlainJSONReader.Name, _ json: inout PlainJSONReader, _ shared: inout SharedValues
        ) -> Bool? {
            func share(_ json: inout PlainJSONReader) -> String? { json.text().flatMap { shared.string($0) } }
            // The name is the pod's, and so are an owner reference's.
            if member == "name" { return Kubernetes.take(&name, &json, share) }
            if member == "namespace" { return Kubernetes.take(&namespace, &json, share) }
            if member == "generateName" { return Kubernetes.take(&generateName, &json, share) }
            if member == "uid" { return Kubernetes.take(&uid, &json) { $0.string() } }
            if member == "resourceVersion" { return Kubernetes.take(&resourceVersion, &json) { $0.string() } }
            return nil
        }
    }
}

extension OwnerReference {
    /// Gives up unless all that `Codable` demands is there.
    init?(reading json: inout PlainJSONReader, _ shared: inout SharedValues) {
        var apiVersion: String?
        var kind: String?
        var name: String?
        var uid: String?
        var controller: Bool?
        var blockOwnerDeletion: Bool?
        let isPlain = json.object { json, member in
            func share(_ json: inout PlainJSONReader) -> String? { json.text().flatMap { shared.string($0) } }
            if member == "apiVersion" { return take(&apiVersion, &json, share) }
            if member == "kind" { return take(&kind, &json, share) }
            if member == "name" { return take(&name, &json, share) }
            if member == "uid" { return take(&uid, &json) { $0.string() } }
            if member == "controller" { return take(&controller, &json) { $0.boolean() } }
            if member == "blockOwnerDeletion" { return take(&blockOwnerDeletion, &json) { $0.boolean() } }
            return json.value() != nil
        }
        guard isPlain, let apiVersion, let kind, let name, let uid else { return nil }
        self.init(
            apiVersion: apiVersion, kind: kind, name: name, uid: uid, controller: controller,
            blockOwnerDeletion: blockOwnerDeletion)
    }
}

extension Timestamp {
    /// Reads the one form that API servers write: `2026-01-31T12:00:00Z` (metav1.Time).
    init?(reading json: inout PlainJSONReader) {
        guard let text = json.text(), text.count == 20, text[10] == UInt8(ascii: "T"), text[19] == UInt8(ascii: "Z"),
            text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"), text[13] == UInt8(ascii: ":"),
            text[16] == UInt8(ascii: ":")
        else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            var value = 0
            for byte in text[range] {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                value = value * 10 + Int(byte - UInt8(ascii: "0"))
            }
            return value
        }
        // Years and days for which the calendar has no exceptions; the rest is for the general form.
        guard let year = number(0..<4), (1900...9999).contains(year), let month = number(5..<7),
            (1...12).contains(month), let day = number(8..<10), (1...28).contains(day) || Self.ends(day, month),
            let hour = number(11..<13), hour < 24, let minute = number(14..<16), minute < 60,
            let second = number(17..<19), second < 60
        else { return nil }
        // Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
        let shifted = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = shifted % 400 * 365 + shifted % 400 / 4 - shifted % 400 / 100 + dayOfYear
        let days = shifted / 400 * 146_097 + dayOfEra - 719_468
        self.init(Date(timeIntervalSince1970: Double(((days * 24 + hour) * 60 + minute) * 60 + second)))
    }

    /// Whether it is one of the days that not all months have; 29 February is left to the general form.
    private static func ends(_ day: Int, _ month: Int) -> Bool {
        switch day {
        case 29, 30: month != 2
        case 31: [1, 3, 5, 7, 8, 10, 12].contains(month)
        default: false
        }
    }
}
