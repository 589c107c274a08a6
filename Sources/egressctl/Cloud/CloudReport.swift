import Foundation
import Host

/// A plan as text and as JSON.
enum CloudReport {
    /// One paragraph per object, and a line that counts.
    static func text(_ plan: CloudPlan) -> String {
        let paragraphs = plan.entries.map { entry in
            let name = entry.namespace.isEmpty ? entry.name : "\(entry.namespace)/\(entry.name)"
            var lines = ["\(entry.action.rawValue)  \(entry.kind)  \(name)"]
            if let message = entry.message {
                lines.append("    \(entry.reason.map { "\($0): " } ?? "")\(message)")
            }
            return (lines + entry.details.map { "    \($0)" }).joined(separator: "\n")
        }
        return (paragraphs + [counts(plan)]).joined(separator: "\n")
    }

    private static func counts(_ plan: CloudPlan) -> String {
        let counts = CloudPlan.Action.allCases.compactMap { action -> String? in
            let count = plan.entries.count { $0.action == action }
            return count > 0 ? "\(count) \(action.rawValue)" : nil
        }
        return (counts + ["\(plan.asDesired) as desired"]).joined(separator: ", ")
    }

    /// The plan's own form, members in the order of their names.
    static func json(_ plan: CloudPlan) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(plan), as: UTF8.self)
    }
}
