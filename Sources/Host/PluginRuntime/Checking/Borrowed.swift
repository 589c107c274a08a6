import FoundationEssentials
import ProviderAPI
import ProviderKit
import Synchronization

/// Bytes lent to a function of a plugin.
///
/// With checking, the plugin gets a copy that is overwritten as soon as the function has returned, so that one that keeps
/// the pointer (P-8) reads garbage and fails where it is looked at, instead of now and then. Copies are freed only much
/// later, because reading freed memory would show nothing.
enum Borrowed {
    /// What the memory is overwritten with: no UTF-8, no JSON, no plausible pointer.
    static let garbage: UInt8 = 0xA5
    /// Bytes of overwritten copies that are kept; the oldest are freed first.
    static let maximumKept = 32 * 1024 * 1024

    /// Sendable: nobody of ours reads or writes the memory while it waits to be freed.
    private struct Copy: @unchecked Sendable {
        var memory: UnsafeMutableRawBufferPointer
    }

    private struct Kept {
        var copies: [Copy] = []
        var bytes = 0
    }

    private static let kept = Mutex(Kept())

    static func lend<R>(_ data: Data, _ isPoisoned: Bool, _ body: (egp_bytes) throws -> R) rethrows -> R {
        guard isPoisoned, !data.isEmpty else { return try data.withBorderBytes(body) }
        let copy = Copy(memory: .allocate(byteCount: data.count, alignment: 16))
        data.withUnsafeBytes { copy.memory.copyMemory(from: $0) }
        defer { poison(copy) }
        return try body(
            egp_bytes(
                data: copy.memory.baseAddress.map { UnsafePointer($0.assumingMemoryBound(to: UInt8.self)) },
                length: UInt64(data.count)))
    }

    private static func poison(_ copy: Copy) {
        for index in copy.memory.indices { copy.memory[index] = garbage }
        let old = kept.withLock { kept in
            kept.copies.append(copy)
            kept.bytes += copy.memory.count
            var old: [Copy] = []
            while kept.bytes > maximumKept, kept.copies.count > 1 {
                let first = kept.copies.removeFirst()
                kept.bytes -= first.memory.count
                old.append(first)
            }
            return old
        }
        for copy in old { copy.memory.deallocate() }
    }
}
