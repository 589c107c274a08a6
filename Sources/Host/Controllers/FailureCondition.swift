import Foundation
import Kubernetes
import ProviderKit
import Reconcile

/// The condition `Ready` of the objects whose state a provider makes.
///
/// A failure with a reason is told in the object that was being provisioned and copied up to the one the user made. It
/// stays until a run succeeds or the object changes; a failure without a reason passes and leaves it alone.
enum FailureCondition {
    static let type = "Ready"
    /// Reason of an object that was provisioned, and whose part of the cloud somebody else has changed.
    static let driftReason = "CloudDrift"

    /// The condition that a failure makes; nil if nobody but time can mend it.
    static func condition(_ error: any Error, generation: Int64) -> Condition? {
        guard let error = error as? ProviderError, let reason = error.reason, ProviderError.isReason(reason) else {
            return nil
        }
        return Condition(
            type: type, status: "False", observedGeneration: generation, reason: reason,
            message: String(decoding: error.message.utf8.prefix(4096), as: UTF8.self))
    }

    /// The condition of an object whose part of the cloud is not as desired any more.
    static func drift(_ message: String, generation: Int64) -> Condition {
        Condition(
            type: type, status: "False", observedGeneration: generation, reason: driftReason,
            message: String(decoding: message.utf8.prefix(4096), as: UTF8.self))
    }

    /// The condition of an object whose last run succeeded.
    static func success(_ message: String, generation: Int64) -> Condition {
        Condition(
            type: type, status: "True", observedGeneration: generation, reason: "Provisioned", message: message)
    }

    /// What an object tells its owner: its failure, if it is about the object's present form.
    static func failure(in conditions: [Condition]?, generation: Int64) -> Condition? {
        guard let found = Conditions.find(type, in: conditions), found.status == "False",
            found.observedGeneration == generation
        else { return nil }
        return found
    }

    /// The list with a condition put in. A failure that says the same as the old one, numbers and identifiers apart,
    /// leaves the list as it is: the cloud names its own requests in messages, and each write of a status brings the
    /// object back to its controller.
    static func setting(_ condition: Condition, in conditions: [Condition]?, now: Date) -> [Condition] {
        if condition.status == "False", let old = Conditions.find(condition.type, in: conditions),
            old.status == "False", old.reason == condition.reason,
            old.observedGeneration == condition.observedGeneration,
            constantWords(old.message) == constantWords(condition.message)
        {
            return conditions ?? []
        }
        return Conditions.setting(condition, in: conditions, now: Timestamp(now))
    }

    private static func constantWords(_ message: String) -> [Substring] {
        message.split(separator: " ").filter { !$0.contains(where: \.isNumber) }
    }
}
