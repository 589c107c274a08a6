import FoundationEssentials
import Glibc
import ProviderAPI
import ProviderKit

/// A plugin file in this process: opened, negotiated, described. Images stay until the process ends, because Swift
/// images cannot be unmapped.
///
/// Sendable: the C struct is filled before `init` returns and only read afterwards; its functions are [any-thread] or
/// called by ``PluginInstance`` alone (`egress_provider.h`).
public struct PluginImage: @unchecked Sendable {
    /// The file as the list names it.
    public internal(set) var path: String
    public let trust: TrustVerdict
    public let descriptor: ProviderDescriptor
    let provider: egp_provider

    typealias Entry = @convention(c) (UInt32, UInt32, UnsafeMutablePointer<egp_provider>) -> egp_code

    private static let entrySymbol = "egp_provider_entry"

    /// Loads a file that the trust policy lets in.
    ///
    /// - Throws: ``HostError`` with code ``HostError/Code/plugin``, one line that names the file and what is wrong.
    public init(_ plugin: VerifiedPlugin) throws {
        path = plugin.path
        trust = plugin.verdict
        let entry = try Self.openEntry(plugin.resolvedPath, named: path)
        try plugin.requireLoaded(at: unsafeBitCast(entry, to: UnsafeRawPointer.self))
        provider = try Self.negotiate(entry, path)
        descriptor = try Self.descriptor(of: provider, path)
        try plugin.requireSame(as: descriptor)
    }

    /// - Parameter name: the file's name for messages.
    static func openEntry(_ file: String, named name: String) throws -> Entry {
        guard let handle = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
            throw HostError(.plugin, "plugin \(name): is no loadable shared object: \(Self.loaderError())")
        }
        guard let symbol = dlsym(handle, Self.entrySymbol) else {
            throw HostError(.plugin, "plugin \(name): is no provider plugin: it exports no \(Self.entrySymbol)")
        }
        return unsafeBitCast(symbol, to: Entry.self)
    }

    static func descriptor(of provider: egp_provider, _ path: String) throws -> ProviderDescriptor {
        do {
            return try JSONDecoder().decode(ProviderDescriptor.self, from: provider.descriptor.copied)
        } catch {
            let reason = (error as? DecodingError)?.oneLine ?? "\(error)"
            throw HostError(
                .plugin, "plugin \(path): its descriptor is not the JSON object that the ABI asks for: \(reason)")
        }
    }

    /// Agrees on a version and takes the provider's table, zero where the plugin's is shorter.
    static func negotiate(_ entry: Entry, _ path: String) throws -> egp_provider {
        let version = UInt32(EGP_ABI_VERSION)
        var provider = egp_provider()
        provider.size = UInt32(MemoryLayout<egp_provider>.size)
        let code = entry(version, version, &provider)
        guard code == egp_code(EGP_OK), provider.abi_version == version else {
            let side = code == egp_code(EGP_HOST_TOO_OLD) ? "a newer host" : "an older host"
            throw HostError(
                .plugin,
                "plugin \(path): speaks ABI version \(text(provider.abi_version)) and needs \(side); "
                    + "this host speaks version \(text(version)) only")
        }
        guard provider.magic == UInt32(EGP_MAGIC), provider.flags == 0 else {
            throw HostError(
                .plugin,
                "plugin \(path): egp_provider has magic \(provider.magic) and flags \(provider.flags); "
                    + "allowed are \(EGP_MAGIC) and 0")
        }
        let required = (MemoryLayout<egp_provider>.offset(of: \.cancel) ?? 0) + MemoryLayout<UInt>.size
        guard provider.size >= UInt32(required), provider.size <= UInt32(MemoryLayout<egp_provider>.size),
            provider.create != nil, provider.destroy != nil, provider.capability != nil, provider.cancel != nil
        else { throw HostError(.plugin, "plugin \(path): egp_provider lacks a required function") }
        return provider
    }

    /// The mistakes that the plugin finds in a configuration, none if it would take it. It makes nothing for that.
    ///
    /// - Throws: ``ProviderError``; with ``ResultCode/unsupported`` if the plugin has no `validate`.
    func validate(_ configuration: Data) throws -> [ConfigurationMistake] {
        guard let validate = provider.validate else {
            throw ProviderError(.unsupported, "it does not judge configurations")
        }
        let (code, report) = configuration.withBorderBytes { configuration in
            SinkCollector.collect { validate(configuration, $0) }
        }
        if code == egp_code(EGP_OK) { return [] }
        guard code == egp_code(EGP_INVALID), let report else {
            throw ProviderError(ResultCode(failureCode: code), "its validate answered with code \(code)")
        }
        struct Report: Decodable { var mistakes: [ConfigurationMistake] }
        guard let mistakes = try? JSONDecoder().decode(Report.self, from: report).mistakes, !mistakes.isEmpty else {
            throw ProviderError(.terminal, "its validate answered invalid without a report of mistakes")
        }
        return mistakes
    }

    /// `major.minor`.
    private static func text(_ version: UInt32) -> String { "\(version >> 16).\(version & 0xFFFF)" }

    private static func loaderError() -> String {
        dlerror().map { String(cString: $0) } ?? "unknown reason"
    }
}
