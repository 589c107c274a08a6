import FoundationEssentials
import NIOCore

/// One request to an API server.
public struct APIRequest: Sendable {
    /// The HTTP methods an API server knows.
    public enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    /// What is done.
    public var method: Method
    /// Path and query; values in the query are percent-encoded.
    public var path: String
    /// Body, if the method has one.
    public var body: Data?
    /// Media type of the body.
    public var contentType: String

    /// Makes a request; nothing is checked.
    public init(method: Method, path: String, body: Data? = nil, contentType: String = "application/json") {
        self.method = method
        self.path = path
        self.body = body
        self.contentType = contentType
    }

    /// What errors call it: verb and path, never headers.
    public var label: String { "\(method.rawValue) \(path)" }
}

/// Carries requests of a ``KubernetesClient`` to an API server and answers back. Production has one, over HTTP; a
/// simulation brings its own, so that everything above it is the code of production.
public protocol APITransport: Sendable {
    /// Pieces of a streamed answer, pulled: nothing is read from the server while nobody asks.
    typealias Chunks = any AsyncSequence<ByteBuffer, any Error> & Sendable

    /// Sends a request and gives the whole body of its answer.
    ///
    /// - Throws: ``KubernetesError`` unless the server answered 2xx; `CancellationError` if the task was cancelled.
    func send(_ request: APIRequest) async throws -> Data
    /// Starts a request whose answer is a stream; its status is known to be good when this returns.
    ///
    /// - Throws: as ``send(_:)``; the stream itself throws the same.
    func open(_ request: APIRequest) async throws -> Chunks
    /// Closes everything; requests under way fail. Called once, last.
    func shutdown() async throws
}
