import NIOCore
import Synchronization

/// Tells a running watch that its client has gone. One per connection, in its pipeline from the start.
///
/// A client that only closes its sending side counts as gone too: no Kubernetes client does that during a watch, and
/// an idle watch has nothing to write by which a dead connection would show.
final class APIConnectionMonitor: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = NIOAny

    private struct State {
        var isClosed = false
        var onClose: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    /// Calls `onClose` once when the client goes, at once if it has gone already. Nil takes the last one back.
    func setCloseHandler(_ onClose: (@Sendable () -> Void)?) {
        let isClosed = state.withLock { state in
            state.onClose = state.isClosed ? nil : onClose
            return state.isClosed
        }
        if isClosed { onClose?() }
    }

    private func close() {
        let onClose = state.withLock { state in
            state.isClosed = true
            defer { state.onClose = nil }
            return state.onClose
        }
        onClose?()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { close() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        close()
        context.fireChannelInactive()
    }
}
