/// Kinds without rules of their own: ConfigMap.
struct PlainBehaviour: ResourceBehaviour {}

/// Lease: coordination.k8s.io/v1.
struct LeaseBehaviour: ResourceBehaviour {
    func validate(_ object: APIValue, old: APIValue?) -> [APIStatusError.Cause] {
        var causes: [APIStatusError.Cause] = []
        if let seconds = object[path: "spec", "leaseDurationSeconds"], (seconds.integerValue ?? 0) <= 0 {
            causes.append(.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
        }
        if let transitions = object[path: "spec", "leaseTransitions"], (transitions.integerValue ?? -1) < 0 {
            causes.append(.invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
        }
        return causes
    }
}

/// Node: the status of a new node is kept, as in the real server, because kubelets register with one.
struct NodeBehaviour: ResourceBehaviour {
    func selectableFields(_ object: APIValue) -> [String: String] {
        ["spec.unschedulable": (object[path: "spec", "unschedulable"]?.boolValue ?? false) ? "true" : "false"]
    }
}

/// Namespace: born Active with the `kubernetes` finalizer in its spec; the collector empties it before it goes.
struct NamespaceBehaviour: ResourceBehaviour {
    func prepareForCreate(_ object: inout APIValue, at time: String) {
        object["status"] = ["phase": "Active"]
        object[path: "spec", "finalizers"] = ["kubernetes"]
        label(&object)
    }

    func prepareForUpdate(_ object: inout APIValue, old: APIValue) {
        object["spec"] = old["spec"]
        label(&object)
    }

    func selectableFields(_ object: APIValue) -> [String: String] {
        ["status.phase": object[path: "status", "phase"]?.stringValue ?? ""]
    }

    private func label(_ object: inout APIValue) {
        object[path: "metadata", "labels", "kubernetes.io/metadata.name"] = object[path: "metadata", "name"]
    }
}

/// Secret: `stringData` is write-only and becomes `data`; values are base64.
struct SecretBehaviour: ResourceBehaviour {
    /// The real server's limit on the sum of the values, in bytes.
    static let maximumSize = 1024 * 1024

    func prepareForCreate(_ object: inout APIValue, at time: String) { takeInStringData(&object) }

    func prepareForUpdate(_ object: inout APIValue, old: APIValue) { takeInStringData(&object) }

    private func takeInStringData(_ object: inout APIValue) {
        if object["type"]?.stringValue ?? "" == "" { object["type"] = "Opaque" }
        guard let strings = object["stringData"]?.objectValue else { return }
        object["stringData"] = nil
        var data = object["data"]?.objectValue ?? [:]
        for (name, value) in strings {
            data[name] = .string(Base64Text.encode(Array((value.stringValue ?? "").utf8)))
        }
        object["data"] = .object(data)
    }

    func decodingFailure(_ object: APIValue) -> String? {
        for (_, value) in (object["data"]?.objectValue ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard let text = value.stringValue else {
                return "json: cannot unmarshal \(value.typeName) into Go struct field Secret.data of type []uint8"
            }
            if let position = Base64Text.firstIllegalByte(text) {
                return "illegal base64 data at input byte \(position)"
            }
        }
        return nil
    }

    func validate(_ object: APIValue, old: APIValue?) -> [APIStatusError.Cause] {
        var causes: [APIStatusError.Cause] = []
        var size = 0
        for (name, value) in object["data"]?.objectValue ?? [:] {
            if !Self.isKey(name) {
                causes.append(
                    .invalid(
                        "data[\(name)]", .string(name),
                        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"))
            }
            size += Base64Text.decodedCount(value.stringValue ?? "")
        }
        if size > Self.maximumSize {
            causes.append(
                .init(
                    reason: "FieldValueTooLong", message: "Too long: may not be more than \(Self.maximumSize) bytes",
                    field: "data"))
        }
        if let old, object["type"] != old["type"] {
            causes.append(.invalid("type", object["type"] ?? .null, "field is immutable"))
        }
        if let old, old["immutable"]?.boolValue == true, object["data"] != old["data"] {
            causes.append(.forbidden("data", "field is immutable when `immutable` is set"))
        }
        return causes
    }

    func selectableFields(_ object: APIValue) -> [String: String] { ["type": object["type"]?.stringValue ?? ""] }

    private static func isKey(_ name: String) -> Bool {
        (1...253).contains(name.utf8.count) && name != "." && !name.hasPrefix("..")
            && name.unicodeScalars.allSatisfy {
                $0.isASCII && ($0.properties.isAlphabetic || "0123456789-_.".unicodeScalars.contains($0))
            }
    }
}

/// Event (core/v1): must live in the namespace of the object it tells about.
struct EventBehaviour: ResourceBehaviour {
    private static let involved = [
        "kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath",
    ]

    func validate(_ object: APIValue, old: APIValue?) -> [APIStatusError.Cause] {
        let involved = object[path: "involvedObject", "namespace"]?.stringValue ?? ""
        let namespace = object[path: "metadata", "namespace"]?.stringValue ?? ""
        // Events about cluster-scoped objects have no involved namespace and live in `default`.
        if involved == namespace || (involved.isEmpty && namespace == "default") { return [] }
        return [
            .invalid(
                "involvedObject.namespace", .string(involved), "does not match event.namespace (\"\(namespace)\")")
        ]
    }

    func selectableFields(_ object: APIValue) -> [String: String] {
        var fields: [String: String] = [
            "reason": object["reason"]?.stringValue ?? "", "type": object["type"]?.stringValue ?? "",
            "source": object[path: "source", "component"]?.stringValue ?? "",
            "reportingComponent": object["reportingComponent"]?.stringValue ?? "",
        ]
        for name in Self.involved {
            fields["involvedObject.\(name)"] = object[path: "involvedObject", name]?.stringValue ?? ""
        }
        return fields
    }
}

/// Standard base64 (RFC 4648 section 4) without a dependency on full Foundation.
enum Base64Text {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = Array(bytes[start..<min(start + 3, bytes.count)])
            let word = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
            for index in 0..<4 {
                let isPadding = index > group.count
                output.append(isPadding ? UInt8(ascii: "=") : alphabet[Int(word >> (18 - 6 * UInt32(index)) & 63)])
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Where the text ceases to be base64; nil if it is base64 throughout.
    static func firstIllegalByte(_ text: String) -> Int? {
        let bytes = Array(text.utf8)
        if let position = bytes.dropLast(padding(bytes)).firstIndex(where: { !alphabet.contains($0) }) {
            return position
        }
        return bytes.count % 4 == 0 ? nil : bytes.count
    }

    /// The number of bytes that base64 text stands for.
    static func decodedCount(_ text: String) -> Int {
        let bytes = Array(text.utf8)
        return max(0, bytes.count / 4 * 3 - padding(bytes))
    }

    private static func padding(_ bytes: [UInt8]) -> Int { bytes.suffix(2).filter { $0 == UInt8(ascii: "=") }.count }
}
