import FoundationEssentials
import Glibc
import ProviderAPI
import ProviderKit
import Synchronization

/// The `egp_host` of one instance: a table of functions that were made for it alone.
///
/// The instance is known by the function that is called, whatever the arguments say, and the functions can be revoked.
/// Table and functions stay readable for ever (H-12).
///
/// Sendable: the table is written in `init` only.
final class HostTable: @unchecked Sendable {
    /// For `create`.
    let pointer: UnsafePointer<egp_host>
    private let binding: HostBinding

    /// - Parameter isChecked: whether rules of thread and state are looked at (`checking: full`).
    /// - Throws: ``ProviderError`` if this system lets nobody make functions.
    init(_ host: any InstanceHost, isChecked: Bool) throws {
        binding = HostBinding(host, isChecked: isChecked)
        let context = Unmanaged.passRetained(binding).toOpaque()
        let memory = UnsafeMutablePointer<egp_host>.allocate(capacity: 1)
        memory.initialize(to: egp_host())
        memory.pointee.size = UInt32(MemoryLayout<egp_host>.size)
        memory.pointee.abi_version = UInt32(EGP_ABI_VERSION)
        memory.pointee.context = context
        for function in HostFunction.all {
            guard let code = ForeignClosure.make(function.signature, context: context, function.body) else {
                throw ProviderError(.terminal, "the system lets the host make no function for the plugin (libffi)")
            }
            UnsafeMutableRawPointer(memory).storeBytes(
                of: code, toByteOffset: function.offset, as: UnsafeMutableRawPointer.self)
        }
        pointer = UnsafePointer(memory)
    }

    /// From now on no function has an effect; each call of one is reported against the plugin.
    func revoke() { binding.isRevoked.store(true, ordering: .sequentiallyConsistent) }

    /// `create` has returned: all functions may be used.
    func becomeLive() { binding.isLive.store(true, ordering: .sequentiallyConsistent) }

    /// Runs a function of the plugin, and lets it ask with `current_thread` what the thread is to it.
    func inside<R>(_ kind: ThreadKind, _ body: () -> R) -> R {
        let previous = pthread_getspecific(HostBinding.threadKey)
        pthread_setspecific(HostBinding.threadKey, binding.mark(kind))
        defer { pthread_setspecific(HostBinding.threadKey, previous) }
        return body()
    }
}

/// What a thread is to an instance (`EGP_THREAD_...`).
enum ThreadKind: Int32, Sendable {
    case other = 0
    case host = 1
    case verb = 2
}

/// What the functions of one table are bound to.
///
/// Sendable: `marks` is never written; only its addresses mean something.
final class HostBinding: @unchecked Sendable {
    let host: any InstanceHost
    let isChecked: Bool
    let isRevoked = Atomic(false)
    let isLive = Atomic(false)
    private let marks = UnsafeMutableRawPointer.allocate(byteCount: 3, alignment: 1)

    /// Holds the mark of the instance and kind whose function the thread is in.
    static let threadKey: pthread_key_t = {
        var key = pthread_key_t()
        // Can fail only when the process has used up its keys (1024), long before any plugin.
        guard pthread_key_create(&key, nil) == 0 else { fatalError("no thread-local key can be made") }
        return key
    }()

    init(_ host: any InstanceHost, isChecked: Bool) {
        self.host = host
        self.isChecked = isChecked
    }

    func mark(_ kind: ThreadKind) -> UnsafeMutableRawPointer { marks + Int(kind.rawValue) }

    var currentThread: ThreadKind {
        guard let mark = pthread_getspecific(Self.threadKey) else { return .other }
        if mark == self.mark(.verb) { return .verb }
        return mark == self.mark(.host) ? .host : .other
    }

    /// The host, if the call of one of its functions is to have an effect.
    ///
    /// - Parameters:
    ///   - context: as the plugin passed it; a wrong one is reported and otherwise makes no difference.
    ///   - needsLive: whether the function may not be called from `create`.
    func admit(_ function: String, _ context: UnsafeMutableRawPointer?, needsLive: Bool) -> (any InstanceHost)? {
        if isRevoked.load(ordering: .acquiring) {
            host.report(.revokedCall(function: function))
            return nil
        }
        if context != Unmanaged.passUnretained(self).toOpaque() { host.report(.wrongContext(function: function)) }
        if isChecked, needsLive, !isLive.load(ordering: .acquiring) {
            host.report(.other(requirement: "P-5", "\(function) was called from create"))
        }
        return host
    }
}
