import FoundationEssentials

/// One line of a watch.
public enum WatchEvent<Resource: KubernetesResource>: Sendable {
    /// A new object, or one that now matches the selectors.
    case added(Resource)
    /// A changed object.
    case modified(Resource)
    /// The last state of an object that is gone, or no longer matches the selectors.
    case deleted(Resource)
    /// Nothing changed in scope up to this version.
    case bookmark(resourceVersion: String)
    /// All objects that were there when a streaming list began have come, as they were at this version.
    case initialEventsEnd(resourceVersion: String)
    /// A change of an object that cannot be decoded; `deleted` says whether it is gone.
    case undecodable(UndecodableObject, resourceVersion: String, deleted: Bool)

    /// From where to watch after this event.
    public var resourceVersion: String {
        switch self {
        case .added(let object), .modified(let object), .deleted(let object): object.metadata.resourceVersion
        case .bookmark(let version), .initialEventsEnd(let version): version
        case .undecodable(_, let version, _): version
        }
    }
}

/// A line as it is on the wire: an event, or the server's error.
enum WatchLine<Resource: KubernetesResource>: Decodable {
    case event(WatchEvent<Resource>)
    case error(ServerStatus)

    private enum CodingKeys: String, CodingKey {
        case type, object
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let type = try container.decode(String.self, forKey: .type)
        switch type {
        case "BOOKMARK":
            let stub = try container.decode(ObjectStub.self, forKey: .object)
            let version = stub.metadata.resourceVersion
            self = .event(
                stub.metadata.endsInitialEvents
                    ? .initialEventsEnd(resourceVersion: version) : .bookmark(resourceVersion: version))
        case "ERROR":
            self = .error(try container.decode(ServerStatus.self, forKey: .object))
        case "ADDED", "MODIFIED", "DELETED":
            switch try container.decode(Isolated<Resource>.self, forKey: .object) {
            case .failure(let object, let version):
                self = .event(.undecodable(object, resourceVersion: version, deleted: type == "DELETED"))
            case .success(let object):
                switch type {
                case "ADDED": self = .event(.added(object))
                case "MODIFIED": self = .event(.modified(object))
                default: self = .event(.deleted(object))
                }
            }
        default:
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: container,
                debugDescription: "\"\(type)\" is no watch event; allowed: ADDED, MODIFIED, DELETED, BOOKMARK, ERROR")
        }
    }
}

/// A page of a list with the objects that cannot be decoded set aside.
struct ListPage<Resource: KubernetesResource>: Decodable {
    var metadata: ListMeta
    var items: [Resource]
    var undecodable: [UndecodableObject]

    struct ListMeta: Decodable {
        var resourceVersion: String
        var continueToken: String

        enum CodingKeys: String, CodingKey {
            case resourceVersion
            case continueToken = "continue"
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            resourceVersion = try container.decode(String.self, forKey: .resourceVersion)
            continueToken = try container.value(.continueToken, default: "")
        }
    }

    private enum CodingKeys: String, CodingKey {
        case metadata, items
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            metadata: try container.decode(ListMeta.self, forKey: .metadata),
            try container.value(.items, default: [Isolated<Resource>]()))
    }

    init(metadata: ListMeta, _ objects: [Isolated<Resource>]) {
        self.metadata = metadata
        items = []
        undecodable = []
        for item in objects {
            switch item {
            case .success(let object): items.append(object)
            case .failure(let object, _): undecodable.append(object)
            }
        }
    }
}

/// Decodes an object, or what can be said about one that does not decode, so that its neighbours are not lost.
enum Isolated<Resource: KubernetesResource>: Decodable {
    case success(Resource)
    case failure(UndecodableObject, resourceVersion: String)

    init(from decoder: any Decoder) throws {
        do {
            self = .success(try Resource(from: decoder))
        } catch {
            let stub = (try? ObjectStub(from: decoder)) ?? ObjectStub()
            let object = UndecodableObject(
                namespace: stub.metadata.namespace, name: stub.metadata.name, reason: DecodingReason.text(error))
            self = .failure(object, resourceVersion: stub.metadata.resourceVersion)
        }
    }
}

/// The few fields that say which object it is.
private struct ObjectStub: Decodable {
    var metadata = Metadata()

    struct Metadata: Decodable {
        var namespace = ""
        var name = ""
        var resourceVersion = ""
        /// Set on the bookmark that ends a streaming list (metav1.InitialEventsAnnotationKey).
        var endsInitialEvents = false

        private enum CodingKeys: String, CodingKey {
            case namespace, name, resourceVersion, annotations
        }

        init() {}

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            namespace = (try? container.decode(String.self, forKey: .namespace)) ?? ""
            name = (try? container.decode(String.self, forKey: .name)) ?? ""
            resourceVersion = (try? container.decode(String.self, forKey: .resourceVersion)) ?? ""
            let annotations = try? container.decode([String: String].self, forKey: .annotations)
            endsInitialEvents = annotations?["k8s.io/initial-events-end"] == "true"
        }
    }

    private enum CodingKeys: String, CodingKey {
        case metadata
    }
}

/// Says in one line which field did not decode.
enum DecodingReason {
    static func text(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "\(error)" }
        switch error {
        case .typeMismatch(let type, let context): return "\(path(context)): is no \(type)"
        case .valueNotFound(let type, let context): return "\(path(context)): is null; expected \(type)"
        case .keyNotFound(let key, let context): return "\(path(context)): \(key.stringValue) is missing"
        case .dataCorrupted(let context): return "\(path(context)): \(context.debugDescription)"
        @unknown default: return "\(error)"
        }
    }

    private static func path(_ context: DecodingError.Context) -> String {
        let path = context.codingPath.map(\.stringValue).joined(separator: ".")
        return path.isEmpty ? "object" : path
    }
}
