import FoundationEssentials
import ProviderAPI
import ProviderKit

/// Puts together what a plugin writes into an `egp_sink`.
///
/// Not shared: a sink is used only on the thread and only within the call it was passed to (`egress_types.h`).
final class SinkCollector {
    private var bytes = Data()
    private var isTooLong = false

    /// Lends a sink to a function of the plugin.
    ///
    /// - Returns: its code, and what it wrote; nil if that was more than EGP_MAXIMUM_BYTES.
    static func collect(_ body: (UnsafePointer<egp_sink>) -> egp_code) -> (egp_code, Data?) {
        let collector = SinkCollector()
        var sink = egp_sink(
            size: UInt32(MemoryLayout<egp_sink>.size), flags: 0,
            context: Unmanaged.passUnretained(collector).toOpaque(),
            write: { context, chunk in
                guard let context else { return }
                Unmanaged<SinkCollector>.fromOpaque(context).takeUnretainedValue().append(chunk)
            })
        let code = withExtendedLifetime(collector) { body(&sink) }
        return (code, collector.isTooLong ? nil : collector.bytes)
    }

    private func append(_ chunk: egp_bytes) {
        guard !isTooLong, chunk.length <= UInt64(BatchLimits.maximumBytes - bytes.count) else {
            isTooLong = true
            return
        }
        bytes.append(chunk.copied)
    }
}
