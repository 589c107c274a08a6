import ProviderKit

/// What an answer of Azure says about the budget of its group.
struct BudgetNews: Sendable, Equatable {
    var answer: RequestBudget.Answer
    /// Refused by the resource manager, not by a resource provider, so it counts for all of them.
    var isOfResourceManager = false

    /// - Parameter failure: the answer as a refusal, if it is one.
    init(_ response: HTTPResponse, failure: ARMFailure?) {
        if let failure, failure.verdict.code == .throttled {
            answer = .throttled(retryAfter: failure.retryAfterSeconds.map { .seconds($0) })
            isOfResourceManager =
                response.header("x-ms-failure-cause")?.lowercased() == "gateway"
                || failure.code.lowercased() == "subscriptionrequeststhrottled"
        } else {
            answer = .passed(remaining: Self.remaining(response))
        }
    }

    /// The least of all `x-ms-ratelimit-remaining-*` headers. Their values are a number, or with Microsoft.Compute a
    /// list of `BUCKET;NUMBER`.
    static func remaining(_ response: HTTPResponse) -> Int? {
        response.headers.filter { $0.name.hasPrefix("x-ms-ratelimit-remaining-") }.flatMap { field in
            field.value.split(separator: ",").compactMap { bucket in
                Int(trimmedOfWhitespace(String(bucket.split(separator: ";").last ?? "")))
            }
        }.min()
    }
}

/// Seconds to wait; at most an hour, whatever the server says.
func retryAfterSeconds(_ response: HTTPResponse) -> Int? {
    response.header("retry-after").flatMap { Int($0) }.map { min(max($0, 0), 3600) }
}
