import Foundation
import Glibc
import Synchronization
import Testing

/// A node daemon for one connection: keeps the request's frame and answers with raw bytes of the test's choice.
final class FakeDaemon: Sendable {
    let path: String
    private let listener: Int32
    private let request = Mutex<Data?>(nil)

    /// - Parameter answer: what is sent back for a request; `nil` to stay silent until the client leaves.
    init(answer: @escaping @Sendable (Data) -> Data?) throws {
        path = NSTemporaryDirectory() + "kegwt-ro-\(UUID().uuidString.prefix(8)).sock"
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && listen(listener, 1) == 0)
        Thread.detachNewThread { [self] in serve(answer) }
    }

    deinit {
        close(listener)
        unlink(path)
    }

    /// The JSON object of the request's frame.
    var received: [String: Any] {
        get throws {
            let data = try #require(request.withLock { $0 })
            return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        }
    }

    static func frame(_ body: Data) -> Data {
        withUnsafeBytes(of: UInt32(body.count).bigEndian) { Data($0) } + body
    }

    static func answer(exitCode: Int, output: String) throws -> Data {
        frame(try JSONSerialization.data(withJSONObject: ["exitCode": exitCode, "output": output]))
    }

    private func serve(_ answer: @Sendable (Data) -> Data?) {
        let connection = FileHandle(fileDescriptor: accept(listener, nil, nil), closeOnDealloc: true)
        guard let header = try? connection.read(upToCount: 4), header.count == 4 else { return }
        let length = header.reduce(0) { $0 << 8 | Int($1) }
        var body = Data()
        while body.count < length, let part = try? connection.read(upToCount: length - body.count), !part.isEmpty {
            body += part
        }
        request.withLock { [body] in $0 = body }
        if let answer = answer(body) {
            try? connection.write(contentsOf: answer)
        } else {
            _ = try? connection.readToEnd()
        }
    }
}
