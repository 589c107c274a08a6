/// How the cloud compares with the objects of a cluster.
public struct CloudPlan: Codable, Sendable, Equatable {
    /// What the next run of the manager does about one object.
    public enum Action: String, Codable, Sendable, CaseIterable {
        /// Makes what was never there.
        case create
        /// Puts right what differs.
        case change
        /// Removes what a deleted object has.
        case remove
        /// Removes what belongs to no object.
        case prune
        /// Nothing, because of a mistake that ``Entry/message`` names.
        case fail
        /// Not known: the comparison could not be made.
        case unknown

        /// Whether the cloud will be another one afterwards.
        public var isChange: Bool { self != .fail && self != .unknown }
    }

    /// One object, or one thing in the cloud that belongs to none.
    public struct Entry: Codable, Sendable, Equatable {
        public var action: Action
        /// Kind of the object, of which GatewayLBConfiguration stands for the load balancer and GatewayVMConfiguration for
        /// the nodes' addresses.
        public var kind: String
        /// Empty for what belongs to no object.
        public var namespace: String
        /// The object's name; the provider's id for what belongs to no object.
        public var name: String
        /// One line per resource and property: what was found, and what is wanted.
        public var details: [String]
        /// Why nothing is done or known.
        public var message: String?
        /// One CamelCase word for what a person can mend.
        public var reason: String?

        init(
            _ action: Action, _ kind: String, namespace: String = "", name: String, details: [String] = [],
            message: String? = nil, reason: String? = nil
        ) {
            self.action = action
            self.kind = kind
            self.namespace = namespace
            self.name = name
            self.details = details
            self.message = message
            self.reason = reason
        }
    }

    /// In the order of kind, namespace and name; what is as desired is not in it.
    public var entries: [Entry]
    /// Objects whose part of the cloud is as desired.
    public var asDesired: Int

    public var hasChanges: Bool { entries.contains { $0.action.isChange } }
    /// Whether everything could be compared, and nothing stands in the way.
    public var isComplete: Bool { entries.allSatisfy { $0.action.isChange } }

    static func + (left: CloudPlan, right: CloudPlan) -> CloudPlan {
        CloudPlan(entries: left.entries + right.entries, asDesired: left.asDesired + right.asDesired)
    }
}
