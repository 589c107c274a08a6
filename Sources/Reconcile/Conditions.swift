import Kubernetes

/// Rules for lists of conditions. Pure.
public enum Conditions {
    /// The list with this condition put in: added, or replacing the one of its type in place.
    ///
    /// `lastTransitionTime` is `now` only if the condition is new or its status changed; otherwise it stays, so that an
    /// unchanged observation leaves the list equal and nothing is written (`metav1.Condition`).
    public static func setting(_ condition: Condition, in conditions: [Condition]?, now: Timestamp) -> [Condition] {
        var result = conditions ?? []
        var new = condition
        guard let index = result.firstIndex(where: { $0.type == condition.type }) else {
            new.lastTransitionTime = now
            return result + [new]
        }
        let old = result[index]
        new.lastTransitionTime = old.status == new.status ? old.lastTransitionTime ?? now : now
        result[index] = new
        return result
    }

    /// The condition of a type, if there is one.
    public static func find(_ type: String, in conditions: [Condition]?) -> Condition? {
        conditions?.first { $0.type == type }
    }
}
