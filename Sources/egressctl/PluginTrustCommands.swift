import ArgumentParser
import Foundation
import Host

extension PluginsCommand {
    struct Manifest: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write the manifest of a plugin file, and sign it.",
            discussion: """
                Loads the file in a child process to ask it what it is, so its code runs: use it for what you built \
                yourself. Anything that changes the file's bytes (strip, chrpath, patchelf) must come before.
                """)
        @Argument(help: "The shared object, lib<Name>.so.") var file: String
        @Option(help: "Where to write it; - is standard output. Default: <Name>.plugin.json beside the file.")
        var output: String?
        @Option(help: "File with the secret key that keygen wrote.") var sign: String?

        func run() throws {
            try reporting {
                guard let beside = PluginManifest.path(forPlugin: file) else {
                    throw HostError(.configuration, "\(file): is not called lib<Name>.so")
                }
                var manifest = try PluginManifest(of: file, DescribingChild.describe(file))
                if let sign { manifest = try manifest.signed(by: PluginSigningKey(file: sign)) }
                if output == "-" {
                    FileHandle.standardOutput.write(try manifest.text())
                } else {
                    try manifest.write(to: output ?? beside)
                }
            }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what the trust policy makes of a plugin file; loads nothing.")
        @Argument(help: "The shared object.") var file: String
        @Option(help: "Path of the host.yaml whose policy and role count. Default: the policy digest, any role.")
        var config: String?

        func run() throws {
            try reporting {
                let host = try config.map { try HostConfiguration.load(path: $0) }
                let plugin = try PluginVerifier(policy: host?.trust ?? TrustPolicy(), role: host?.role).verify(file)
                Console.say("\(plugin.path): \(plugin.verdict)")
                for warning in plugin.warnings { Console.say("\(plugin.path): \(warning)") }
            }
        }
    }

    struct KeyGeneration: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "keygen", abstract: "Make a pair of keys: NAME.key, and the lines for host.yaml.",
            discussion: """
                NAME.key is the secret half (Ed25519, PEM). Who has it decides what runs in your daemons: keep it where \
                manifests are signed, not where plugins are loaded.
                """)
        @Argument(help: "A name for people, such as release-2026; a folder may precede it.") var name: String

        func run() throws {
            try reporting {
                let key = try PluginSigningKey.generate()
                try key.write(to: "\(name).key")
                Console.say(
                    """
                    # \(name).key holds the secret key \(key.publicKey.keyID). For host.yaml:
                    trust:
                      policy: signed
                      keys:
                        - id: \(URL(filePath: name).lastPathComponent)
                          publicKey: \(key.publicKey.base64)
                    """)
            }
        }
    }

    /// What ``DescribingChild`` runs; no command for people.
    struct Describe: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "describe-file", shouldDisplay: false)
        @Argument var file: String

        func run() throws {
            // A plugin may write to standard output although it must not; the answer goes out by a copy of it.
            let answer = dup(STDOUT_FILENO)
            let nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC)
            guard answer >= 0, nowhere >= 0, dup2(nowhere, STDOUT_FILENO) >= 0 else { throw ExitCode.failure }
            try reporting {
                FileHandle(fileDescriptor: answer).write(try PluginDescription(loading: file).json())
            }
        }
    }
}

/// Prints an error as one line and ends with status 1.
func reporting(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch {
        FileHandle.standardError.write(Data("egressctl: \(error)\n".utf8))
        throw ExitCode.failure
    }
}

/// Loads a plugin file in a process of its own, so that one that traps or hangs takes nothing along.
private enum DescribingChild {
    /// Loading a plugin takes milliseconds; the ABI gives its functions 5 s.
    private static let timeout = DispatchTimeInterval.seconds(30)
    /// More than the largest manifest.
    private static let maximumBytes = 4 << 20

    static func describe(_ file: String) throws -> PluginDescription {
        let child = Process()
        child.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        child.arguments = ["plugins", "describe-file", file]
        child.standardInput = FileHandle.nullDevice
        let pipe = Pipe()
        child.standardOutput = pipe
        try child.run()
        let identifier = child.processIdentifier
        let watchdog = DispatchWorkItem { kill(identifier, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + timeout, execute: watchdog)
        let answer = read(pipe.fileHandleForReading)
        if answer.count > maximumBytes { kill(identifier, SIGKILL) }
        child.waitUntilExit()
        watchdog.cancel()
        switch (child.terminationReason, child.terminationStatus) {
        case (.exit, 0): return try PluginDescription(json: answer)
        // It has said why on standard error.
        case (.exit, 1): throw HostError(.plugin, "plugin \(file): cannot be described")
        case (.exit, let status):
            throw HostError(.plugin, "plugin \(file): ended the process that loaded it with status \(status)")
        case (_, let signal):
            throw HostError(
                .plugin,
                "plugin \(file): ended the process that loaded it with signal \(signal)"
                    + (signal == SIGKILL ? " (no answer in 30 seconds, or too long a one)" : ""))
        }
    }

    private static func read(_ handle: FileHandle) -> Data {
        var data = Data()
        while data.count <= maximumBytes, let part = try? handle.read(upToCount: 1 << 16), !part.isEmpty {
            data += part
        }
        return data
    }
}
