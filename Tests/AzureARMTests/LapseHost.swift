import AzureTestSupport
import Foundation
import ProviderKit
import Synchronization

/// A host whose clock runs `speed` times as fast as the world's, with a layer between the client and Azure that a test
/// may put words into. What was asked and what was logged is kept.
final class LapseHost: HostServices {
    /// Sees a request before Azure does; a response in its place keeps it from Azure.
    typealias Layer = @Sendable (HTTPRequest, _ now: Duration) async throws -> HTTPResponse?

    private let network = TestHost()
    private let start = ContinuousClock.now
    private let speed: Double
    private let layer: Layer
    private let lines = Mutex<[String]>([])
    private let asked = Mutex<[HTTPRequest]>([])
    private let statuses = Mutex<[Int]>([])

    init(speed: Double = 20, layer: @escaping Layer = { _, _ in nil }) {
        self.speed = speed
        self.layer = layer
    }

    /// Every request in order of its start.
    var requests: [HTTPRequest] { asked.withLock { $0 } }
    /// Requests to the resource manager: neither tokens nor discovery.
    var calls: Int { requests.count { $0.url.contains("/subscriptions/") } }
    var refusals: Int { statuses.withLock { $0.count { $0 == 429 } } }
    var log: [String] { lines.withLock { $0 } }
    var elapsed: Duration { (ContinuousClock.now - start) * speed }

    func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {
        lines.withLock { $0.append("\(level) \(message) \(metadata)") }
    }

    func now() -> HostInstant { HostInstant(nanoseconds: 0).advanced(by: elapsed) }

    func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration / speed) }

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        asked.withLock { $0.append(request) }
        let response: HTTPResponse
        if let answer = try await layer(request, elapsed) {
            response = answer
        } else {
            response = try await network.send(request)
        }
        statuses.withLock { $0.append(response.status) }
        return response
    }

    /// The circumstances of a call that may take `seconds` of this host's time.
    func context(seconds: Int = 600) -> CallContext {
        CallContext(deadline: now().advanced(by: .seconds(seconds)), host: ProviderHost(self))
    }
}

/// An answer made up by a test.
func answer(_ status: Int, _ body: String = "", headers: [(String, String)] = []) -> HTTPResponse {
    HTTPResponse(status: status, headers: headers.map { HTTPField($0.0, $0.1) }, body: Data(body.utf8))
}

/// A folder that goes with the test.
func withFolder<Value>(_ body: (URL) async throws -> Value) async throws -> Value {
    let folder = FileManager.default.temporaryDirectory.appending(path: "keg-arm-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder)
}

/// Runs a program to its end.
///
/// - Returns: what it wrote to its output.
@discardableResult
func run(_ arguments: [String], in folder: URL, allowFailure: Bool = false) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = arguments
    process.currentDirectoryURL = folder
    let pipe = Pipe()
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard allowFailure || process.terminationStatus == 0 else {
        throw ProviderError(.terminal, "\(arguments.prefix(3)): \(output)")
    }
    return (process.terminationStatus, output)
}
