/// Reads the protobuf bodies that `kubectl create namespace`, `create secret` and `create configmap` send since 1.32.
/// Answers are always JSON, which those clients accept too. Other kinds in protobuf are refused with 415.
///
/// Envelope: the bytes `k8s\0`, then `runtime.Unknown` (apimachinery/pkg/runtime/generated.proto); field numbers from
/// api/core/v1 and meta/v1 generated.proto.
enum APIProtobuf {
    static let mediaType = "application/vnd.kubernetes.protobuf"

    struct Failure: Error, Equatable { var message: String }

    private indirect enum FieldType: Sendable {
        case string, bytes, integer, bool, time
        case strings
        /// Maps from string; the value is a string or bytes.
        case map(FieldType)
        case message([UInt64: Field])
        case messages([UInt64: Field])
    }

    private struct Field: Sendable {
        var name: String
        var type: FieldType

        init(_ name: String, _ type: FieldType) {
            self.name = name
            self.type = type
        }
    }

    private static let ownerReference: [UInt64: Field] = [
        1: Field("kind", .string), 3: Field("name", .string), 4: Field("uid", .string),
        5: Field("apiVersion", .string), 6: Field("controller", .bool), 7: Field("blockOwnerDeletion", .bool),
    ]

    private static let metadata = Field(
        "metadata",
        .message([
            1: Field("name", .string), 2: Field("generateName", .string), 3: Field("namespace", .string),
            5: Field("uid", .string), 6: Field("resourceVersion", .string), 7: Field("generation", .integer),
            8: Field("creationTimestamp", .time), 9: Field("deletionTimestamp", .time),
            10: Field("deletionGracePeriodSeconds", .integer), 11: Field("labels", .map(.string)),
            12: Field("annotations", .map(.string)), 13: Field("ownerReferences", .messages(ownerReference)),
            14: Field("finalizers", .strings),
        ]))

    private static let kinds: [String: [UInt64: Field]] = [
        "v1/Namespace": [1: metadata, 2: Field("spec", .message([1: Field("finalizers", .strings)]))],
        "v1/Secret": [
            1: metadata, 2: Field("data", .map(.bytes)), 3: Field("type", .string),
            4: Field("stringData", .map(.string)), 5: Field("immutable", .bool),
        ],
        "v1/ConfigMap": [
            1: metadata, 2: Field("data", .map(.string)), 3: Field("binaryData", .map(.bytes)),
            4: Field("immutable", .bool),
        ],
    ]

    /// The object in the body. Throws when it is malformed or of a kind that is not read in protobuf.
    static func decode(_ body: [UInt8]) throws(Failure) -> APIValue {
        guard body.starts(with: [0x6B, 0x38, 0x73, 0x00]) else { throw Failure(message: "the k8s prefix is missing") }
        var apiVersion = ""
        var kind = ""
        var raw: ArraySlice<UInt8> = []
        for (number, payload) in try fields(of: body[4...]) {
            guard case .bytes(let bytes) = payload else { continue }
            if number == 2 { raw = bytes }
            guard number == 1 else { continue }
            for case (let member, .bytes(let text)) in try fields(of: bytes) {
                if member == 1 { apiVersion = String(decoding: text, as: UTF8.self) }
                if member == 2 { kind = String(decoding: text, as: UTF8.self) }
            }
        }
        guard let known = kinds["\(apiVersion)/\(kind)"] else {
            let names = kinds.keys.sorted().joined(separator: ", ")
            throw Failure(message: "\(apiVersion)/\(kind) is not read in protobuf, only \(names); send JSON")
        }
        var object = try message(raw, known)
        object["apiVersion"] = .string(apiVersion)
        object["kind"] = .string(kind)
        return object
    }

    private enum Payload {
        case varint(UInt64)
        case bytes(ArraySlice<UInt8>)
    }

    /// The fields of one message on the wire; fixed-width ones do not occur in these kinds.
    private static func fields(of bytes: ArraySlice<UInt8>) throws(Failure) -> [(number: UInt64, payload: Payload)] {
        var rest = bytes
        var fields: [(UInt64, Payload)] = []
        while !rest.isEmpty {
            let tag = try varint(&rest)
            switch tag & 7 {
            case 0: fields.append((tag >> 3, .varint(try varint(&rest))))
            case 2:
                let count = try varint(&rest)
                guard count <= UInt64(rest.count) else { throw Failure(message: "a field is longer than its message") }
                fields.append((tag >> 3, .bytes(rest.prefix(Int(count)))))
                rest = rest.dropFirst(Int(count))
            default: throw Failure(message: "wire type \(tag & 7) is not expected")
            }
        }
        return fields
    }

    private static func varint(_ rest: inout ArraySlice<UInt8>) throws(Failure) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = rest.popFirst() else { throw Failure(message: "a number is cut off") }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw Failure(message: "a number has more than 10 bytes")
    }

    private static func message(_ bytes: ArraySlice<UInt8>, _ known: [UInt64: Field]) throws(Failure) -> APIValue {
        var members: [String: APIValue] = [:]
        for (number, payload) in try fields(of: bytes) {
            guard let field = known[number] else { continue }
            switch (field.type, payload) {
            case (.integer, .varint(let value)): members[field.name] = .integer(Int64(bitPattern: value))
            case (.bool, .varint(let value)): members[field.name] = .bool(value != 0)
            case (.strings, .bytes(let text)):
                let element = APIValue.string(String(decoding: text, as: UTF8.self))
                members[field.name] = .array((members[field.name]?.arrayValue ?? []) + [element])
            case (.messages(let schema), .bytes(let content)):
                let element = try message(content, schema)
                members[field.name] = .array((members[field.name]?.arrayValue ?? []) + [element])
            case (.map(let type), .bytes(let entry)):
                let pair = try message(entry, [1: Field("key", .string), 2: Field("value", type)])
                var map = members[field.name]?.objectValue ?? [:]
                map[pair["key"]?.stringValue ?? ""] = pair["value"] ?? ""
                members[field.name] = .object(map)
            case (_, .bytes(let content)): members[field.name] = try scalar(content, field.type)
            default: throw Failure(message: "\(field.name) has an unexpected wire type")
            }
        }
        return .object(members)
    }

    /// Nil for what the JSON form leaves out: empty texts and the zero time.
    private static func scalar(_ content: ArraySlice<UInt8>, _ type: FieldType) throws(Failure) -> APIValue? {
        switch type {
        case .string: content.isEmpty ? nil : .string(String(decoding: content, as: UTF8.self))
        case .bytes: .string(Base64Text.encode(Array(content)))
        case .message(let schema): try message(content, schema)
        // Times are the server's to set; clients only ever send back what they read.
        case .time, .integer, .bool, .strings, .map, .messages: nil
        }
    }
}
