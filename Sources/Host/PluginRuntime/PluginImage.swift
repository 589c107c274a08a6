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
    /// The file as it was opened.
    public let path: String
    public let descriptor: ProviderDescriptor
    let provider: egp_provider

    private typealias Entry = @convention(c) (UInt32, UInt32, UnsafeMutablePointer<egp_provider>) -> egp_code

    private static let entrySymbol = "egp_provider_entry"

    /// Opens a plugin file.
    ///
    /// - Throws: ``HostError`` with code ``HostError/Code/plugin``, one line that names the file and what is wrong.
    public init(path: String) throws {
        self.path = path
        try Self.requireRegularFile(path)
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
            throw HostError(.plugin, "plugin \(path): is no loadable shared object: \(Self.loaderError())")
        }
        guard let symbol = dlsym(handle, Self.entrySymbol) else {
            throw HostError(.plugin, "plugin \(path): is no provider plugin: it exports no \(Self.entrySymbol)")
        }
        let entry = unsafeBitCast(symbol, to: Entry.self)
        provider = try Self.negotiate(entry, path)
        do {
            descriptor = try JSONDecoder().decode(ProviderDescriptor.self, from: provider.descriptor.copied)
        } catch {
            throw HostError(.plugin, "plugin \(path): its descriptor is not the JSON object that the ABI asks for")
        }
    }

    /// Agrees on a version and takes the provider's table, zero where the plugin's is shorter.
    private static func negotiate(_ entry: Entry, _ path: String) throws -> egp_provider {
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

    private static func requireRegularFile(_ path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw HostError(.plugin, "plugin \(path): \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw HostError(.plugin, "plugin \(path): is not a regular file")
        }
    }

    private static func loaderError() -> String {
        dlerror().map { String(cString: $0) } ?? "unknown reason"
    }
}
