import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOFoundationCompat
import NIOHTTP1

/// What the load server answers to the request for a burst.
struct BurstAnswer: Decodable {
    /// Nanoseconds of CLOCK_MONOTONIC when the updates were handed to the watches.
    var began: Int64
    /// Over the last states of all keys.
    var checksum: String

    static func ask(_ server: String, keys: Int, rounds: Int) async throws -> BurstAnswer {
        var request = HTTPClientRequest(url: "\(server)/burst?keys=\(keys)&rounds=\(rounds)")
        request.method = .POST
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
        guard response.status == .ok else {
            throw BenchError(description: "the load server answered \(response.status) to the request for a burst")
        }
        return try JSONDecoder().decode(Self.self, from: Data(buffer: try await response.body.collect(upTo: 4096)))
    }
}
