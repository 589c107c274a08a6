import Foundation
import JSONModel
import Kubernetes
import Reconcile

extension SimulatedServer {
    /// What the path and query of a request mean.
    struct Target {
        var plural = ""
        var namespace = ""
        var name: String?
        var isStatus = false
        var query: [String: String] = [:]

        init?(_ path: String) {
            let halves = path.split(separator: "?", maxSplits: 1)
            var parts = halves[0].split(separator: "/").map { Self.decoded($0) }
            for pair in halves.dropFirst().first?.split(separator: "&") ?? [] {
                let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                query[String(sides[0])] = Self.decoded(sides.count > 1 ? sides[1] : "")
            }
            guard parts.count >= 3 else { return nil }
            parts.removeFirst(parts[0] == "api" ? 2 : 3)
            if parts.first == "namespaces", parts.count >= 3 {
                namespace = parts[1]
                parts.removeFirst(2)
            }
            guard let plural = parts.first else { return nil }
            self.plural = plural
            name = parts.count > 1 ? parts[1] : nil
            isStatus = parts.count > 2 && parts[2] == "status"
        }

        var key: ObjectKey { ObjectKey(namespace: namespace, name: name ?? "") }

        /// Whether an object is in the scope of a list or watch.
        func selects(_ object: JSONValue) -> Bool {
            guard namespace.isEmpty || object["metadata.namespace"]?.text == namespace else { return false }
            if let (field, value) = Self.sides(query["fieldSelector"]), object[field]?.text != value { return false }
            guard let selector = query["labelSelector"] else { return true }
            let labels = object["metadata.labels"]?.members
            guard let (label, value) = Self.sides(selector) else { return labels?[selector] != nil }
            return labels?[label]?.text == value
        }

        /// Of a selector with one condition, which is all that a manager sends; nil if it asks for a label of any value.
        private static func sides(_ selector: String?) -> (String, String)? {
            guard let sides = selector?.split(separator: "=", maxSplits: 1).map(String.init), sides.count == 2 else {
                return nil
            }
            return (sides[0], sides[1])
        }

        private static func decoded(_ text: Substring) -> String {
            String(text).removingPercentEncoding ?? String(text)
        }
    }

    /// Answers everything but watches.
    func answer(_ request: APIRequest, _ target: Target) -> Answer {
        do {
            switch (request.method, target.name) {
            case (.get, nil): return list(target)
            case (.get, .some): return object(target.plural, target.key).map { Answer(body: $0) } ?? notFound(target)
            case (.post, nil): return create(target, try JSONValue(json: request.body ?? Data()))
            case (.patch, .some): return patch(target, try JSONValue(json: request.body ?? Data()))
            case (.delete, .some): return delete(target, try request.body.map { try JSONValue(json: $0) } ?? [:])
            default: return .failure(405, "MethodNotAllowed", request.label)
            }
        } catch {
            return .failure(400, "BadRequest", "\(request.label): the body is no JSON")
        }
    }

    private func list(_ target: Target) -> Answer {
        let limit = max(Int(target.query["limit"] ?? "") ?? 500, 1)
        if let token = target.query["continue"] { return nextPage(token, limit: min(limit, Self.pageLimit)) }
        return Answer(body: page(objects(target.plural).filter(target.selects), limit: min(limit, Self.pageLimit)))
    }

    /// So small that the few objects of a simulated world come in several pages.
    private static let pageLimit = 3

    private func create(_ target: Target, _ body: JSONValue) -> Answer {
        if target.plural == "events" {
            report(body)
            return Answer(status: 201, body: body)
        }
        let key = Self.key(body)
        guard object(target.plural, key) == nil else {
            return .failure(409, "AlreadyExists", "\(target.plural) \"\(key.name)\" already exists")
        }
        var object = body
        if Self.hasStatus(target.plural) { object["status"] = nil }
        return Answer(status: 201, body: insert(target.plural, object))
    }

    private func patch(_ target: Target, _ patch: JSONValue) -> Answer {
        guard let old = object(target.plural, target.key) else { return notFound(target) }
        if let wanted = patch["metadata.resourceVersion"]?.text, wanted != old["metadata.resourceVersion"]?.text {
            return .failure(409, "Conflict", "\(target.plural) \"\(target.key.name)\": the object has been modified")
        }
        let merged = Self.merge(old, patch)
        var new = merged
        if target.isStatus {
            new = old
            new["status"] = merged["status"]
        } else {
            if Self.hasStatus(target.plural) { new["status"] = old["status"] }
            for fixed in ["uid", "creationTimestamp", "deletionTimestamp", "generation", "resourceVersion"] {
                new["metadata.\(fixed)"] = old["metadata.\(fixed)"]
            }
            let before = Set(old["metadata.finalizers"]?.elements ?? [])
            let added = Set(new["metadata.finalizers"]?.elements ?? []).subtracting(before)
            guard added.isEmpty || old["metadata.deletionTimestamp"] == nil else {
                return .failure(422, "Invalid", "metadata.finalizers: no new finalizers while the object is deleted")
            }
        }
        return Answer(body: replace(target.plural, old, by: new))
    }

    private func delete(_ target: Target, _ options: JSONValue) -> Answer {
        guard let old = object(target.plural, target.key) else { return notFound(target) }
        for (field, wanted) in options["preconditions"]?.members ?? [:] where old["metadata.\(field)"] != wanted {
            return .failure(409, "Conflict", "precondition \(field) does not hold")
        }
        delete(target.plural, old)
        return Answer(body: ["kind": "Status", "status": "Success"])
    }

    private func notFound(_ target: Target) -> Answer {
        .failure(404, "NotFound", "\(target.plural) \"\(target.key.name)\" not found")
    }

    private static func hasStatus(_ plural: String) -> Bool { plural.hasSuffix("configurations") }

    /// RFC 7386.
    static func merge(_ target: JSONValue, _ patch: JSONValue) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        var members = target.members ?? [:]
        for (name, change) in changes {
            members[name] = change == .null ? nil : merge(members[name] ?? .null, change)
        }
        return .object(members)
    }
}
