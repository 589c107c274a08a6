import FoundationEssentials
import NIOCore
import NIOFoundationCompat
import ProviderKit

/// One message between the host and the child process that a plugin runs in.
///
/// On the wire: length of the rest (4 bytes), kind (1 byte), number of integers (1 byte), the integers (8 bytes each),
/// number of blobs (1 byte), each with its length (4 bytes). All little-endian; both ends are one program on one machine.
struct IsolationFrame: Sendable, Equatable {
    enum Kind: UInt8, Sendable {
        // Host to child.
        case start, call, cancel, validate, reconfigure, close
        // Child to host.
        case started, failedToStart, completed, answered, log, metric, event, fault, closed
    }

    var kind: Kind
    var integers: [Int64] = []
    var blobs: [Data] = []

    /// Bytes of one frame: a request or result and what goes with it.
    static let maximumBytes = BatchLimits.maximumBytes + 256 * 1024

    func write(to buffer: inout ByteBuffer) {
        let start = buffer.writerIndex
        buffer.writeInteger(UInt32(0))
        buffer.writeInteger(kind.rawValue)
        buffer.writeInteger(UInt8(clamping: integers.count))
        for integer in integers { buffer.writeInteger(integer, endianness: .little) }
        buffer.writeInteger(UInt8(clamping: blobs.count))
        for blob in blobs {
            buffer.writeInteger(UInt32(clamping: blob.count), endianness: .little)
            buffer.writeBytes(blob)
        }
        buffer.setInteger(UInt32(clamping: buffer.writerIndex - start - 4), at: start, endianness: .little)
    }

    /// Takes one frame's bytes apart, without the length in front.
    ///
    /// - Throws: ``ProviderError`` if they are none.
    init(_ bytes: ByteBuffer) throws {
        var rest = bytes
        guard let kind = rest.readInteger(as: UInt8.self).flatMap(Kind.init),
            let count = rest.readInteger(as: UInt8.self)
        else { throw Self.malformed }
        self.kind = kind
        for _ in 0..<count {
            guard let integer = rest.readInteger(endianness: .little, as: Int64.self) else { throw Self.malformed }
            integers.append(integer)
        }
        guard let blobCount = rest.readInteger(as: UInt8.self) else { throw Self.malformed }
        for _ in 0..<blobCount {
            guard let length = rest.readInteger(endianness: .little, as: UInt32.self),
                let blob = rest.readData(length: Int(length))
            else { throw Self.malformed }
            blobs.append(blob)
        }
        guard rest.readableBytes == 0 else { throw Self.malformed }
    }

    init(_ kind: Kind, _ integers: [Int64] = [], _ blobs: [Data] = []) {
        self.kind = kind
        self.integers = integers
        self.blobs = blobs
    }

    static let malformed = ProviderError(.terminal, "malformed frame on the socket between host and plugin process")

    func integer(_ index: Int) throws -> Int64 {
        guard integers.indices.contains(index) else { throw Self.malformed }
        return integers[index]
    }

    func blob(_ index: Int) throws -> Data {
        guard blobs.indices.contains(index) else { throw Self.malformed }
        return blobs[index]
    }

    func text(_ index: Int) throws -> String { String(decoding: try blob(index), as: UTF8.self) }
}

/// Cuts the stream of bytes into frames.
struct IsolationFrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = IsolationFrame

    func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let length = buffer.getInteger(at: buffer.readerIndex, endianness: .little, as: UInt32.self) else {
            return .needMoreData
        }
        guard length <= UInt32(IsolationFrame.maximumBytes) else { throw IsolationFrame.malformed }
        guard buffer.readableBytes >= Int(length) + 4 else { return .needMoreData }
        buffer.moveReaderIndex(forwardBy: 4)
        guard let bytes = buffer.readSlice(length: Int(length)) else { return .needMoreData }
        context.fireChannelRead(wrapInboundOut(try IsolationFrame(bytes)))
        return .continue
    }

    func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        // The rest of a frame whose sender died says nothing.
        try decode(context: context, buffer: &buffer)
    }
}

struct IsolationFrameEncoder: MessageToByteEncoder {
    typealias OutboundIn = IsolationFrame

    func encode(data: IsolationFrame, out: inout ByteBuffer) throws {
        data.write(to: &out)
    }
}
