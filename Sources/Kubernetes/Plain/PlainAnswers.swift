import FoundationEssentials
import JSONModel

/// Reads events and pages of kinds that are ``PlainResource``; what is not in the plain form is left to `JSONDecoder`.
struct PlainAnswers<Resource: KubernetesResource> {
    private let kind: (any PlainResource.Type)?
    private var shared = SharedValues()

    init() { kind = Resource.self as? any PlainResource.Type }

    /// An event that brings an object; nil for everything else.
    mutating func event(_ line: UnsafeBufferPointer<UInt8>) -> WatchEvent<Resource>? {
        guard let kind else { return nil }
        var json = PlainJSONReader(line)
        var type: PlainJSONReader.Name?
        var object: Resource?
        let isPlain = json.object { json, member in
            if member == "type" { return take(&type, &json) { $0.word() } }
            if member == "object" { return take(&object, &json) { Self.object(kind, &$0, &shared) } }
            return json.value() != nil
        }
        guard isPlain, json.isAtEnd, let type, let object else { return nil }
        if type == "ADDED" { return .added(object) }
        if type == "MODIFIED" { return .modified(object) }
        return type == "DELETED" ? .deleted(object) : nil
    }

    /// A page of a list; an item that is not in the plain form is decoded by itself.
    mutating func page(_ text: Data) -> ListPage<Resource>? {
        guard let kind else { return nil }
        return text.withUnsafeBytes { buffer in
            buffer.withMemoryRebound(to: UInt8.self) { bytes in
                var json = PlainJSONReader(bytes)
                var metadata: ListPage<Resource>.ListMeta?
                var items: [Isolated<Resource>]?
                let isPlain = json.object { json, member in
                    if member == "metadata" {
                        return take(&metadata, &json) { json in
                            json.value().flatMap { try? Self.decode(ListPage<Resource>.ListMeta.self, $0) }
                        }
                    }
                    if member == "items" {
                        return take(&items, &json) { json in
                            json.array { Self.item(kind, &$0, &shared) }
                        }
                    }
                    return json.value() != nil
                }
                guard isPlain, json.isAtEnd, let metadata else { return nil }
                return ListPage(metadata: metadata, items ?? [])
            }
        }
    }

    private static func item(
        _ kind: any PlainResource.Type, _ json: inout PlainJSONReader, _ shared: inout SharedValues
    ) -> Isolated<Resource>? {
        let start = json
        if let object = object(kind, &json, &shared) { return .success(object) }
        json = start
        return json.value().flatMap { try? decode(Isolated<Resource>.self, $0) }
    }

    private static func object(
        _ kind: any PlainResource.Type, _ json: inout PlainJSONReader, _ shared: inout SharedValues
    ) -> Resource? {
        func read<Kind: PlainResource>(_ kind: Kind.Type) -> Resource? {
            // Kind is Resource, which the compiler does not see.
            Kind(reading: &json, &shared) as? Resource
        }
        return read(kind)
    }

    private static func decode<Value: Decodable>(
        _ type: Value.Type, _ bytes: UnsafeBufferPointer<UInt8>
    ) throws -> Value {
        try KubernetesJSON.decode(type, from: Data(bytes))
    }
}
