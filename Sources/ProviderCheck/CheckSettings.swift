import FoundationEssentials
import Glibc
import JSONModel
import Yams

/// The file given with `--config`: the plugin's settings, and what a call that reaches the world needs.
public struct CheckSettings: Sendable, Equatable {
    /// Items of one capability that are good in the environment where the validator runs.
    public struct CapabilityItems: Sendable, Equatable {
        /// Items as `ensure` takes them. All of them can exist at the same time.
        public var items: [JSONValue] = []
        /// Items that `ensure` must refuse without harm to others.
        public var invalidItems: [JSONValue] = []
        /// Members that `prune` needs beside `items`: the scopes. nil: prune is not tried.
        public var prune: [String: JSONValue]?
    }

    /// The plugin's entry's `config`; nil if the file has none or there is no file.
    public var config: JSONValue?
    /// Other settings that `reconfigure` must take on a live instance that was made with `config`.
    public var liveConfigs: [JSONValue] = []
    /// What `secret_read` answers.
    public var secrets: [String: String] = [:]
    /// By capability identifier.
    public var capabilities: [String: CapabilityItems] = [:]
    /// HTTP requests go through if their URL begins with one of these; the others get EGP_RETRY.
    public var forward: [String] = []
    /// Seconds in which a call with items must complete, 1 to 600.
    public var callSeconds = 60

    public init() {}

    private static let names = ["config", "liveConfigs", "secrets", "capabilities", "http", "callSeconds"]

    /// - Throws: ``CheckError/usage(_:)`` that names file, field, value and what is allowed.
    public init(path: String) throws {
        let text: String
        do {
            text = try String(contentsOf: URL(filePath: path), encoding: .utf8)
        } catch {
            throw CheckError.usage("\(path): cannot be read")
        }
        do {
            try self.init(text: text)
        } catch CheckError.usage(let problem) {
            throw CheckError.usage("\(path): \(problem)")
        }
    }

    /// - Parameter text: JSON or YAML.
    init(text: String) throws {
        let root: JSONValue
        do {
            root = try JSONValue(json: Data(text.utf8))
        } catch {
            do {
                root = try YAMLDecoder().decode(JSONValue.self, from: text)
            } catch {
                throw CheckError.usage("is neither JSON nor YAML")
            }
        }
        guard let members = root.members else { throw CheckError.usage("must be an object, not \(root.kind)") }
        try Self.refuseUnknown(members, "", Self.names)
        config = members["config"]
        liveConfigs = try Self.list(members["liveConfigs"], "liveConfigs")
        for (name, value) in try Self.object(members["secrets"], "secrets") {
            guard let text = value.text else {
                throw CheckError.usage("secrets.\(name): must be a string, not \(value.kind)")
            }
            secrets[name] = text
        }
        for (name, value) in try Self.object(members["capabilities"], "capabilities") {
            capabilities[name] = try Self.items(value, "capabilities.\(name)")
        }
        let http = try Self.object(members["http"], "http")
        try Self.refuseUnknown(http, "http.", ["forward"])
        forward = try Self.list(http["forward"], "http.forward").map { value in
            guard let text = value.text, text.hasPrefix("http://") || text.hasPrefix("https://") else {
                throw CheckError.usage("http.forward: allowed are the beginnings of http and https URLs")
            }
            return text
        }
        if let value = members["callSeconds"] {
            guard let seconds = value.int, (1...600).contains(seconds) else {
                throw CheckError.usage("callSeconds: allowed are the integers 1 to 600")
            }
            callSeconds = seconds
        }
    }

    private static func items(_ value: JSONValue, _ path: String) throws -> CapabilityItems {
        let members = try object(value, path)
        try refuseUnknown(members, "\(path).", ["items", "invalidItems", "prune"])
        var items = CapabilityItems()
        items.items = try list(members["items"], "\(path).items")
        items.invalidItems = try list(members["invalidItems"], "\(path).invalidItems")
        if let prune = members["prune"] { items.prune = try object(prune, "\(path).prune") }
        for (index, item) in (items.items + items.invalidItems).enumerated() where item.identifier == nil {
            throw CheckError.usage("\(path): item \(index) (good ones first) has no id, which must be a string")
        }
        let ids = (items.items + items.invalidItems).compactMap(\.identifier)
        guard Set(ids).count == ids.count else { throw CheckError.usage("\(path): an id occurs twice") }
        return items
    }

    private static func object(_ value: JSONValue?, _ path: String) throws -> [String: JSONValue] {
        guard let value else { return [:] }
        guard let members = value.members else {
            throw CheckError.usage("\(path): must be an object, not \(value.kind)")
        }
        return members
    }

    private static func list(_ value: JSONValue?, _ path: String) throws -> [JSONValue] {
        guard let value else { return [] }
        guard case .array(let elements) = value else {
            throw CheckError.usage("\(path): must be a list, not \(value.kind)")
        }
        return elements
    }

    private static func refuseUnknown(_ members: [String: JSONValue], _ path: String, _ known: [String]) throws {
        if let name = members.keys.sorted().first(where: { !known.contains($0) }) {
            throw CheckError.usage(
                "\(path)\(name): no such field; allowed: \(known.sorted().joined(separator: ", "))")
        }
    }
}

extension JSONValue {
    /// The id of an item of a batch.
    var identifier: String? { self[member: "id"]?.text }
}
