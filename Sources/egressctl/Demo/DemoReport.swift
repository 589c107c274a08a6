/// What the demo saw, and what should have been seen. Text and JSON show the same.
struct DemoReport: Codable {
    /// A pod and the addresses the internet saw it come from.
    struct PodRow: Codable {
        var pod: String
        /// Gateway configuration it names; nil: none.
        var annotation: String?
        var connections: Int
        /// Every distinct answer; "no answer" for a connection that had none.
        var seen: [String]
        /// An address or a CIDR.
        var expected: String
        /// From the container runtime's ADD to the first answered request.
        var firstAnswerSeconds: Double
        /// Of that, the CNI plugins' part.
        var attachSeconds: Double
        var holds: Bool
    }

    /// What happened when the gateway that carried the pod was cut off.
    struct Failover: Codable {
        var pod: String
        var failedNode: String
        var addressBefore: String
        var addressAfter: String
        var nodeAfter: String
        /// From the cut to the first answered request.
        var seconds: Double
        /// Addresses outside the prefix that were seen meanwhile; must be empty.
        var strangers: [String]
        var holds: Bool
    }

    /// What was left after the configuration was deleted; all must be empty.
    struct Removal: Codable {
        var seconds: Double
        var azureResources: [String]
        var nodeLeftovers: [String]
        /// What the pod without annotation was seen with afterwards.
        var plainPodSeen: [String]
        var holds: Bool
    }

    var pods: [PodRow] = []
    var prefix = ""
    var failover: Failover?
    var removal: Removal?
    /// What `lab down` left; nil if the lab was kept.
    var labLeftovers: [String]?
    var labUpSeconds = 0.0
    /// From `kubectl apply` to a prefix in the configuration's status.
    var provisioningSeconds = 0.0
    var totalSeconds = 0.0
    /// Why the demo stopped early, if it did.
    var error: String?

    var holds: Bool {
        error == nil && !pods.isEmpty && pods.allSatisfy(\.holds) && failover?.holds == true
            && removal?.holds == true && labLeftovers?.isEmpty != false
    }
}

extension DemoReport {
    /// The table of pods.
    var podTable: String {
        var rows = [["POD", "ANNOTATION", "SEEN BY THE INTERNET", "EXPECTED", "CNI ADD TOOK", "FIRST ANSWER", ""]]
        rows += pods.map { row in
            [
                row.pod, row.annotation ?? "-", "\(row.seen.joined(separator: ", ")) (\(row.connections) connections)",
                row.expected, Self.milliseconds(row.attachSeconds),
                "\(Self.milliseconds(row.firstAnswerSeconds)) after ADD began", Self.verdict(row.holds),
            ]
        }
        return Console.table(rows)
    }

    static func verdict(_ holds: Bool) -> String { holds ? "ok" : "NOT OK" }

    static func milliseconds(_ seconds: Double) -> String { "\(Int((seconds * 1000).rounded())) ms" }

    static func seconds(_ seconds: Double) -> String {
        let tenths = Int((seconds * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) s"
    }
}

extension DemoReport.Failover {
    var text: String {
        """
        \(failedNode) cut off (daemon killed, cable pulled): \(pod) went from \(addressBefore) to \
        \(addressAfter) (\(nodeAfter)) after \(DemoReport.seconds(seconds)); \
        other addresses seen: \(strangers.isEmpty ? "none" : strangers.joined(separator: ", "))   \
        \(DemoReport.verdict(holds))
        """
    }
}

extension DemoReport.Removal {
    var text: String {
        let azure = azureResources.isEmpty ? "none" : azureResources.joined(separator: ", ")
        let nodes = nodeLeftovers.isEmpty ? "none" : nodeLeftovers.joined(separator: ", ")
        return """
            configuration deleted in \(DemoReport.seconds(seconds)): Azure resources left: \(azure); links, addresses, \
            rules, routes, tables and namespaces left on nodes: \(nodes); plain pod still seen as \
            \(plainPodSeen.joined(separator: ", "))   \(DemoReport.verdict(holds))
            """
    }
}
