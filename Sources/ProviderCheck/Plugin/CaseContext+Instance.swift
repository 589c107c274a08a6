import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit

/// What `create` answered.
struct CreateAnswer {
    var code: egp_code
    var pointer: OpaquePointer?
    /// As many bytes as `length` says, at most the capacity.
    var message: Data
    /// `length` as the plugin left it.
    var messageLength: UInt64

    var messageText: String { String(decoding: message, as: UTF8.self) }
}

extension CaseContext {
    /// Bytes that the host of the daemon gives for a message.
    static let messageBytes = Int(EGP_MAXIMUM_MESSAGE)

    func load() throws(CheckError) -> LoadedProvider {
        step("loading the file and calling its entry")
        return try LoadedProvider(LoadedFile(path: pluginPath))
    }

    /// The settings of `--config`, or an empty object.
    var configuration: Data {
        (try? (settings.config ?? .object([:])).json()) ?? Data("{}".utf8)
    }

    func makeHost(_ extent: RawHost.Extent = .full) throws(CheckError) -> RawHost {
        try RawHost(
            settings: settings, extent: extent, forwarder: settings.forward.isEmpty ? nil : HTTPForwarder())
    }

    /// Calls `create` with a configuration and a message buffer that end at guarded pages.
    ///
    /// - Parameter takesAway: whether a look at either after `create` has returned is to be a crash.
    func create(
        _ provider: egp_provider, _ host: RawHost, _ configuration: Data, capacity: Int = messageBytes,
        takesAway: Bool = false
    ) throws(CheckError) -> CreateAnswer {
        let lent = try GuardedMemory(configuration)
        let buffer = try GuardedMemory(count: capacity)
        var message = egp_message(
            buffer: buffer.pointer.assumingMemoryBound(to: UInt8.self), capacity: UInt64(capacity), length: 0)
        var pointer: OpaquePointer?
        host.beginMaking()
        let code = host.inside(Int32(EGP_THREAD_HOST)) {
            provider.create?(
                host.table, egp_bytes(data: lent.bytes, length: UInt64(lent.count)), &pointer, &message)
                ?? egp_code(EGP_UNSUPPORTED)
        }
        let written = buffer.data.prefix(Int(clamping: min(message.length, UInt64(capacity))))
        if takesAway {
            lent.lock()
            buffer.lock()
        } else {
            // What is wrong with a plugin that looks again is another case's to find: this one's memory stays.
            lent.leave()
        }
        if code == egp_code(EGP_OK) { host.becomeLive() } else { host.end() }
        return CreateAnswer(code: code, pointer: pointer, message: Data(written), messageLength: message.length)
    }

    /// A live instance with the settings of `--config`.
    ///
    /// - Parameter quietly: the step is not told, because there are many.
    func makeInstance(
        _ loaded: LoadedProvider? = nil, extent: RawHost.Extent = .full, quietly: Bool = false
    ) throws -> LiveInstance {
        let loaded = try loaded ?? load()
        let host = try makeHost(extent)
        if !quietly { step("calling create") }
        let answer = try create(loaded.provider, host, configuration)
        guard answer.code == egp_code(EGP_OK), let pointer = answer.pointer else {
            let code = ResultCode(borderCode: answer.code)?.rawValue ?? "\(answer.code)"
            throw CheckError.failed("create answers \(code): \(answer.messageText)")
        }
        return LiveInstance(host: host, provider: loaded.provider, pointer: pointer)
    }
}
