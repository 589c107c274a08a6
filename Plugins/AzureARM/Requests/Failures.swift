import JSONModel
import ProviderKit

/// An answer of Azure that says no.
struct ARMFailure: Error, Sendable, Equatable {
    /// HTTP status; 200 for an operation that failed after it was accepted.
    var status: Int
    /// The error's code; empty if the body had none.
    var code: String
    var message: String
    /// Codes of the details.
    var detailCodes: [String] = []
    var retryAfterSeconds: Int?
    /// What was asked, for people: `PUT loadBalancers/lb`.
    var request: String

    init(
        status: Int, code: String, message: String, detailCodes: [String] = [], retryAfterSeconds: Int? = nil,
        request: String
    ) {
        self.status = status
        self.code = code
        self.message = message
        self.detailCodes = detailCodes
        self.retryAfterSeconds = retryAfterSeconds
        self.request = request
    }

    /// Reads an error body. Microsoft.Compute's own 429 has the object at top level.
    init(status: Int, body: JSONValue?, retryAfterSeconds: Int?, request: String) {
        let error = body?["error"] ?? body
        self.init(
            status: status, code: error?["code"]?.text ?? error?.text ?? "",
            message: error?["message"]?.text ?? body?["error_description"]?.text ?? "no message",
            detailCodes: (error?["details"]?.elements ?? []).compactMap { $0["code"]?.text },
            retryAfterSeconds: retryAfterSeconds, request: request)
    }

    var verdict: ErrorTable.Verdict { ErrorTable.verdict(self) }

    /// The failure as the host understands it.
    var providerError: ProviderError {
        let verdict = verdict
        let name = ([code] + detailCodes).filter { !$0.isEmpty }.joined(separator: "/")
        let advice = verdict.advice.isEmpty ? "" : "; \(verdict.advice)"
        return ProviderError(
            verdict.code, "\(request): \(status) \(name): \(oneLine(message))\(advice)",
            retryAfterMilliseconds: verdict.code == .throttled ? (retryAfterSeconds ?? 5) * 1000 : nil,
            reason: verdict.reason)
    }

    private func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}
