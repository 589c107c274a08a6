import NIOCore

/// The relay's frames: four bytes of length, most significant first, then that many bytes.
enum RelayFrame {
    /// Bytes of one frame without its length.
    static let maximumBytes = 1 << 20
}

/// Cuts the byte stream into frames.
struct RelayFrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = ByteBuffer

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return .needMoreData }
        guard length <= RelayFrame.maximumBytes else {
            throw HostError(
                .unavailable, "relay: a frame of \(length) bytes; at most \(RelayFrame.maximumBytes) are allowed")
        }
        guard buffer.readableBytes >= 4 + Int(length) else { return .needMoreData }
        buffer.moveReaderIndex(forwardBy: 4)
        guard let frame = buffer.readSlice(length: Int(length)) else { return .needMoreData }
        context.fireChannelRead(wrapInboundOut(frame))
        return .continue
    }

    /// What is left when the other side ends is no frame; there is nobody to answer.
    mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState { .needMoreData }
}

/// Puts the length before a frame.
struct RelayFrameEncoder: MessageToByteEncoder {
    typealias OutboundIn = ByteBuffer

    func encode(data: ByteBuffer, out: inout ByteBuffer) throws {
        out.writeInteger(UInt32(data.readableBytes))
        out.writeImmutableBuffer(data)
    }
}
