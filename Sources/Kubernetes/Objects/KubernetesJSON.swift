import FoundationEssentials

/// JSON as API servers write it.
public enum KubernetesJSON {
    /// The object with `apiVersion` and `kind`, keys sorted; what a manifest or a request body holds.
    public static func encode<Resource: KubernetesResource>(_ object: Resource) throws -> Data {
        try encoder().encode(TypedObject(object: object))
    }

    /// Any other value, such as a patch.
    public static func encode(patch: some Encodable) throws -> Data {
        try encoder().encode(patch)
    }

    /// Reads one value.
    public static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
        try JSONDecoder().decode(type, from: data)
    }

    private static func encoder() -> JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }
}

/// Adds `apiVersion` and `kind` to the fields of an object.
private struct TypedObject<Resource: KubernetesResource>: Encodable {
    let object: Resource

    private enum CodingKeys: String, CodingKey {
        case apiVersion, kind
    }

    func encode(to encoder: any Encoder) throws {
        try object.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Resource.resourceType.apiVersion, forKey: .apiVersion)
        try container.encode(Resource.resourceType.kind, forKey: .kind)
    }
}
