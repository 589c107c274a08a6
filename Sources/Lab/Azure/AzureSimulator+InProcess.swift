import JSONModel

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The simulator without a socket, for callers in the same process: benchmarks and tests on a clock of their own.
extension AzureSimulator {
    /// An answer as it would go over the wire.
    public struct InProcessAnswer: Sendable {
        public let status: Int
        /// Names in lower case.
        public let headers: [(name: String, value: String)]
        public let body: Data
    }

    /// Answers one request of the resource manager after its latency; audited as any other, not recorded.
    ///
    /// - Parameters:
    ///   - url: absolute; what stands before the path is what operation URLs begin with.
    ///   - headers: names in any case.
    /// - Throws: ``StartError`` for a URL without a path; `CancellationError`.
    public nonisolated func exchange(
        _ method: String, _ url: String, headers: [(name: String, value: String)] = [], body: Data = Data()
    ) async throws -> InProcessAnswer {
        guard let scheme = url.firstRange(of: "://"),
            let slash = url[scheme.upperBound...].firstIndex(of: "/")
        else { throw StartError(code: .configuration, message: "url: \"\(url)\" is not absolute with a path") }
        let address = url[slash...].split(separator: "?", maxSplits: 1)
        let request = ARMRequest(
            method: method, segments: address[0].split(separator: "/").map { ARMRequest.percentDecoded($0) },
            query: ARMRequest.query(address.count > 1 ? String(address[1]) : ""),
            headers: Dictionary(headers.map { ($0.name.lowercased(), $0.value) }) { first, _ in first }, body: body,
            base: String(url[..<slash]))
        let answer = try await respondInTime(to: request)
        let bytes = try answer.body?.json() ?? Data()
        await record(answer, requestBytes: body.count, responseBytes: bytes.count)
        return InProcessAnswer(
            status: answer.status, headers: answer.headers.map { ($0.name.lowercased(), $0.value) }, body: bytes)
    }

    /// Waits as long as an answer takes, then answers.
    nonisolated func respondInTime(to request: ARMRequest) async throws -> ARMResponse {
        let delay = await answerDelay()
        if delay > .zero { try await clock.sleep(for: delay) }
        return await respond(to: request)
    }
}
