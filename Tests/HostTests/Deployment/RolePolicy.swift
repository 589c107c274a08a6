import Foundation
import Lab
import Synchronization
import Testing
import Yams

/// The rights that the rendered manifests give a service account, as RBAC reads them; it keeps what was asked of it.
final class RolePolicy: Sendable {
    private struct Rule: Sendable {
        var groups: [String]
        var resources: [String]
        var names: [String]
        var verbs: [String]
        /// Nil: the whole cluster.
        var namespace: String?
    }

    private struct Asked {
        var refused: Set<APIAccess> = []
        var used: Set<String> = []
        var collections: Set<String> = []
    }

    private let rules: [Rule]
    private let asked = Mutex(Asked())

    /// - Parameter namespace: stands for the release's: where the role is told that the Secrets are.
    init(serviceAccount: String, namespace: String = "kube-egress-gateway-system") throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "deploy/manifests/kube-egress-gateway.yaml")
        let text = try String(contentsOf: file, encoding: .utf8)
        let objects = try Yams.load_all(yaml: text).compactMap { $0 as? [String: Any] }
        func name(_ object: [String: Any]) -> String? { (object["metadata"] as? [String: Any])?["name"] as? String }
        var rules: [Rule] = []
        for binding in objects where (binding["kind"] as? String)?.hasSuffix("Binding") == true {
            let subjects = binding["subjects"] as? [[String: Any]] ?? []
            guard subjects.contains(where: { $0["name"] as? String == serviceAccount }) else { continue }
            let reference = binding["roleRef"] as? [String: Any] ?? [:]
            let role = try #require(
                objects.first {
                    $0["kind"] as? String == reference["kind"] as? String && name($0) == reference["name"] as? String
                })
            // A RoleBinding's rights end with its namespace.
            let isNarrow = binding["kind"] as? String == "RoleBinding"
            for rule in role["rules"] as? [[String: Any]] ?? [] {
                rules.append(
                    Rule(
                        groups: rule["apiGroups"] as? [String] ?? [], resources: rule["resources"] as? [String] ?? [],
                        names: rule["resourceNames"] as? [String] ?? [], verbs: rule["verbs"] as? [String] ?? [],
                        namespace: isNarrow ? namespace : nil))
            }
        }
        #expect(!rules.isEmpty, "no rights for \(serviceAccount)")
        self.rules = rules
    }

    func allows(_ access: APIAccess) -> Bool {
        let matching = rules.filter { rule in
            rule.groups.contains(access.group) && rule.resources.contains(access.resource)
                && rule.verbs.contains(access.verb) && (rule.namespace == nil || rule.namespace == access.namespace)
                // Of an object to be made, RBAC does not know the name.
                && (rule.names.isEmpty || access.name.map(rule.names.contains) == true)
        }
        asked.withLock { asked in
            if matching.isEmpty { asked.refused.insert(access) }
            if ["list", "watch"].contains(access.verb) { asked.collections.insert(Self.collection(access)) }
            for rule in matching {
                asked.used.insert(Self.text(rule, access.group, access.resource, access.verb))
            }
        }
        return !matching.isEmpty
    }

    /// What was asked for without a right to it.
    var refused: Set<APIAccess> { asked.withLock(\.refused) }

    /// What was listed or watched: "resource", "resource in namespace", "resource where selector".
    var collections: Set<String> { asked.withLock(\.collections) }

    private static func collection(_ access: APIAccess) -> String {
        let selectors = [access.labelSelector, access.fieldSelector].filter { !$0.isEmpty }
        return access.resource + (access.namespace.map { " in \($0)" } ?? "")
            + (selectors.isEmpty ? "" : " where \(selectors.joined(separator: " and "))")
    }

    /// Rights that nobody asked for, as "verb group/resource"; but for what no server of the tests asks: owners'
    /// finalizers (an admission plugin's question), and `list` of what is watched: it takes the place of a streaming list
    /// where a server has none.
    var unused: [String] {
        let all = rules.flatMap { rule in
            rule.groups.flatMap { group in
                rule.resources.filter { !$0.hasSuffix("/finalizers") }.flatMap { resource in
                    rule.verbs.map { Self.text(rule, group, resource, $0) }
                }
            }
        }
        let used = asked.withLock(\.used)
        return Set(all).subtracting(used).filter { right in
            let isFallback = right.hasPrefix("list ") && used.contains("watch " + right.dropFirst("list ".count))
            return !isFallback
        }.sorted()
    }

    private static func text(_ rule: Rule, _ group: String, _ resource: String, _ verb: String) -> String {
        "\(verb) \(group.isEmpty ? "" : group + "/")\(resource)"
    }
}
