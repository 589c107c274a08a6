import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOFoundationCompat
import NIOHTTP1

/// Asks a running daemon on its status socket.
public struct StatusClient: Sendable {
    /// Bytes of one answer.
    private static let maximumBytes = 4 * 1024 * 1024

    private let socketPath: String

    public init(socketPath: String) {
        self.socketPath = socketPath
    }

    /// - Throws: ``HostError`` if no daemon answers there within 5 seconds.
    public func status() async throws -> DaemonStatus {
        do {
            return try JSONDecoder().decode(DaemonStatus.self, from: try await get("/status"))
        } catch let error as DecodingError {
            throw HostError(.unavailable, "\(socketPath): answers no daemon status: \(error)")
        }
    }

    /// The daemon's metrics in Prometheus' text format.
    public func metrics() async throws -> String {
        String(decoding: try await get("/metrics"), as: UTF8.self)
    }

    private func get(_ path: String) async throws -> Data {
        guard let url = URL(httpURLWithSocketPath: socketPath, uri: path)?.absoluteString else {
            throw HostError(.configuration, "statusSocket: \"\(socketPath)\" is no path of a socket")
        }
        do {
            let answer = try await HTTPClient.shared.execute(HTTPClientRequest(url: url), timeout: .seconds(5))
            let body = try await answer.body.collect(upTo: Self.maximumBytes)
            guard answer.status == .ok else {
                throw HostError(.unavailable, "\(socketPath): answered \(answer.status.code)")
            }
            return Data(buffer: body)
        } catch let error as HostError {
            throw error
        } catch {
            throw HostError(.unavailable, "\(socketPath): no daemon answers: \(error)")
        }
    }
}
