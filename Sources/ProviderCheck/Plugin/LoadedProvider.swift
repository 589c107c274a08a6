import FoundationEssentials
import Glibc
import JSONModel
import ProviderAPI
import ProviderKit

/// A plugin file in this process.
struct LoadedFile {
    typealias Entry = @convention(c) (UInt32, UInt32, UnsafeMutablePointer<egp_provider>) -> egp_code

    static let entrySymbol = "egp_provider_entry"
    let entry: Entry

    /// Opens the file the way the host does.
    init(path: String) throws(CheckError) {
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
            throw .failed("is no loadable shared object: \(dlerror().map { String(cString: $0) } ?? "")")
        }
        guard let symbol = dlsym(handle, Self.entrySymbol) else {
            throw .failed("exports no \(Self.entrySymbol)")
        }
        entry = unsafeBitCast(symbol, to: Entry.self)
    }
}

/// What the entry answered to a host that speaks 1.0.
struct LoadedProvider {
    let provider: egp_provider

    init(_ file: LoadedFile) throws(CheckError) {
        var filled = egp_provider()
        filled.size = UInt32(MemoryLayout<egp_provider>.size)
        let version = UInt32(EGP_ABI_1_0)
        let code = file.entry(version, version, &filled)
        guard code == egp_code(EGP_OK) else {
            throw .failed("the entry answers \(code) to a host that speaks exactly 1.0; needed is EGP_OK")
        }
        provider = filled
    }

    /// The descriptor's bytes as JSON.
    func descriptor() throws(CheckError) -> JSONValue {
        do {
            return try JSONValue(json: provider.descriptor.copied)
        } catch {
            throw .failed("the descriptor is no JSON: \(provider.descriptor.text.prefix(200))")
        }
    }

    /// The capabilities of the descriptor.
    func capabilities() throws(CheckError) -> [String] {
        try descriptor()[member: "capabilities"]?.elements.compactMap(\.text) ?? []
    }
}
