import FoundationEssentials
import NIOCore

/// The events of one watch; iterate it once. It pulls: nothing is read from the connection while nobody asks, so
/// nothing piles up. Dropping the iterator ends the watch.
public struct WatchEvents<Resource: KubernetesResource>: AsyncSequence, Sendable {
    public typealias Element = WatchEvent<Resource>

    let chunks: APITransport.Chunks
    let request: APIRequest
    let maximumLineBytes: Int

    public func makeAsyncIterator() -> Iterator {
        Iterator(
            chunks: chunks.makeAsyncIterator(), lines: LineSplitter(maximumLineBytes: maximumLineBytes),
            request: request)
    }

    /// Reads one watch.
    public struct Iterator: AsyncIteratorProtocol {
        var chunks: any AsyncIteratorProtocol<ByteBuffer, any Error>
        var lines: LineSplitter
        let request: APIRequest
        private var plain = PlainAnswers<Resource>()

        init(chunks: any AsyncIteratorProtocol<ByteBuffer, any Error>, lines: LineSplitter, request: APIRequest) {
            self.chunks = chunks
            self.lines = lines
            self.request = request
        }

        /// The next event; nil once the server ended the watch in order.
        ///
        /// - Throws: ``KubernetesError``: `gone` for a version too old, `timeout` for silence, `unavailable` for a
        ///   broken connection; `CancellationError`.
        public mutating func next() async throws -> WatchEvent<Resource>? {
            while true {
                if let line = try nextLine() { return try event(line) }
                guard let chunk = try await chunks.next() else {
                    // What came after the last newline is half an event: it will come again after resuming.
                    guard lines.unfinishedBytes == 0 else {
                        throw KubernetesError(.unavailable, "\(request.label): the watch ended inside a line")
                    }
                    return nil
                }
                lines.append(chunk.readableBytesView)
            }
        }

        private mutating func nextLine() throws -> ArraySlice<UInt8>? {
            do {
                return try lines.next()
            } catch {
                throw KubernetesError(
                    .responseTooLarge, "\(request.label): a line is longer than \(error.maximumLineBytes) bytes")
            }
        }

        private mutating func event(_ line: ArraySlice<UInt8>) throws -> WatchEvent<Resource> {
            if let event = line.withUnsafeBufferPointer({ plain.event($0) }) { return event }
            let data = Data(line)
            let decoded: WatchLine<Resource>
            do {
                decoded = try KubernetesJSON.decode(WatchLine<Resource>.self, from: data)
            } catch {
                throw KubernetesError(
                    .unexpectedResponse,
                    "\(request.label): \"\(BodyExcerpt.text(data))\" is no watch event: \(DecodingReason.text(error))")
            }
            switch decoded {
            case .event(let event): return event
            case .error(let status): throw status.watchError(request: request.label)
            }
        }
    }
}
