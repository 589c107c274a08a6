import Foundation
import Host

/// Where a plugin's package gets ProviderSDK from.
enum PluginSDK {
    /// A checkout of this project; an absolute path.
    case folder(String)
    /// A repository of this project; its branch main is used.
    case repository(String)

    /// - Parameter text: a path or a URL; nil looks for the checkout that the running program was built in.
    /// - Throws: ``HostError`` if there is no package there.
    init(_ text: String?) throws {
        guard let text else {
            self = .folder(try Self.checkoutOfThisProgram())
            return
        }
        if text.contains("://") || text.hasPrefix("git@") {
            guard !text.contains(where: { $0.isWhitespace || "\"\\".contains($0) }) else {
                throw HostError(.configuration, "--sdk \(text): a URL holds no space, quote or backslash")
            }
            self = .repository(text)
            return
        }
        let path = URL(filePath: text).resolvingSymlinksInPath().path
        guard Self.isCheckout(path) else {
            throw HostError(
                .configuration, "--sdk \(text): is no checkout of egress-gateway: it has no SDK/Package.swift")
        }
        guard !path.contains(where: { "\"\\\n".contains($0) }) else {
            throw HostError(.configuration, "--sdk \(text): a path with a quote or a backslash cannot be used")
        }
        self = .folder(path)
    }

    /// The expression for `dependencies` in a Package.swift.
    var dependency: String {
        switch self {
        // Not the package above it: SwiftPM would check out all that the project depends on, and the SDK needs none.
        case .folder(let path): ".package(path: \"\(path)/SDK\")"
        case .repository(let url): ".package(url: \"\(url)\", branch: \"main\")"
        }
    }

    /// What SwiftPM calls the package: the last part of path or URL.
    var identity: String {
        switch self {
        case .folder: return "SDK"
        case .repository(let url):
            let last = url.split(whereSeparator: { "/:".contains($0) }).last.map(String.init) ?? url
            return last.hasSuffix(".git") ? String(last.dropLast(4)) : last
        }
    }

    /// Whether the project has a target, product or plugin of this name, which would be mistaken for the new one; false
    /// where only a download could tell.
    func declares(_ name: String) -> Bool {
        guard case .folder(let path) = self, let manifest = Self.manifest(path) else { return false }
        return manifest.contains("\"\(name)\"")
    }

    private static func checkoutOfThisProgram() throws -> String {
        var folder = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        while folder.path != "/" {
            folder = folder.deletingLastPathComponent()
            if isCheckout(folder.path) { return folder.path }
        }
        throw HostError(
            .configuration,
            "--sdk is missing, and egressctl does not run from a checkout of egress-gateway; give its path or URL")
    }

    private static func isCheckout(_ path: String) -> Bool {
        manifest("\(path)/SDK")?.contains("name: \"ProviderSDK\"") == true
    }

    private static func manifest(_ path: String) -> String? {
        try? String(contentsOf: URL(filePath: path).appending(path: "Package.swift"), encoding: .utf8)
    }
}
