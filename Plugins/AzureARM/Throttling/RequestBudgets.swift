import ProviderKit
import Synchronization

/// Requests that Azure counts together: of one subscription, one resource provider and one kind.
struct RequestGroup: Sendable, Hashable, CustomStringConvertible {
    enum Kind: String, Sendable, CaseIterable {
        case reads, writes, deletes
    }

    /// Of the resource manager, so that two clouds with one subscription id do not meet.
    let endpoint: String
    let subscription: String
    let provider: String
    let kind: Kind

    init(endpoint: String, id: ResourceID, method: String) {
        self.endpoint = endpoint.lowercased()
        subscription = id.subscription.lowercased()
        provider = id.provider.lowercased()
        kind =
            switch method {
            case "GET", "HEAD": .reads
            case "DELETE": .deletes
            default: .writes
            }
    }

    var description: String { "\(provider) \(kind.rawValue) of subscription \(subscription)" }

    func isOfSameSubscription(as other: Self) -> Bool {
        endpoint == other.endpoint && subscription == other.subscription
    }
}

/// The budgets of a process, one per group.
///
/// ``shared`` is one per *image*: every instance of a plugin that was loaded from one file shares it. Plugins in
/// different files (AzureLB and AzureVMSS as shipped) have a copy of this code each and cannot see each other's; what
/// they then share is what Azure tells both of them, and pauses after its refusals.
public final class RequestBudgets: Sendable {
    public static let shared = RequestBudgets()

    /// Groups that are kept: 3 kinds of a few providers and subscriptions. Beyond, the oldest knowledge is dropped.
    private static let maximumGroups = 256

    private let gates = Mutex<[RequestGroup: RequestGate]>([:])

    public init() {}

    /// The gate of a group; `limits` count when it is made.
    func gate(_ group: RequestGroup, limits: RequestBudget.Limits) -> RequestGate {
        gates.withLock { gates in
            if let gate = gates[group] { return gate }
            if gates.count >= Self.maximumGroups { gates = [:] }
            let gate = RequestGate(group: group, limits: limits)
            gates[group] = gate
            return gate
        }
    }

    /// The resource manager itself refused a request: the same kind of all providers of the subscription waits.
    func throttled(_ group: RequestGroup, retryAfter: Duration?, at now: HostInstant, random: Double) async {
        let others = gates.withLock { gates in
            gates.values.filter {
                $0.group != group && $0.group.kind == group.kind && $0.group.isOfSameSubscription(as: group)
            }
        }
        for gate in others { await gate.throttledElsewhere(retryAfter: retryAfter, at: now, random: random) }
    }
}
