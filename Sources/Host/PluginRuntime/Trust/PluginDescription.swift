import FoundationEssentials
import Glibc
import JSONModel
import ProviderAPI
import ProviderKit

/// What a plugin file tells about itself when it is loaded.
public struct PluginDescription: Sendable, Equatable {
    public var descriptor: ProviderDescriptor
    /// The versions it speaks.
    public var abi: ClosedRange<ABIVersion>

    /// Loads a file without asking who made it, and without making an instance. Constructors run: only for a process
    /// that has nothing to lose, and for files its user built.
    ///
    /// - Throws: ``HostError``, one line that names the file and what is wrong.
    public init(loading path: String) throws {
        let entry = try PluginImage.openEntry(path, named: path)
        descriptor = try PluginImage.descriptor(of: PluginImage.negotiate(entry, path), path)
        // By egp_provider_entry a host that is too old is told the lowest version, one that is too new the highest.
        let lowest = try Self.refusal(entry, offering: 0, answer: egp_code(EGP_HOST_TOO_OLD), path)
        let highest = try Self.refusal(entry, offering: .max, answer: egp_code(EGP_HOST_TOO_NEW), path)
        guard lowest <= highest, (lowest...highest).contains(.ofHost) else {
            throw HostError(
                .plugin, "plugin \(path): says that it speaks the ABI versions \(lowest) to \(highest)")
        }
        abi = lowest...highest
    }

    private static func refusal(
        _ entry: PluginImage.Entry, offering version: UInt32, answer: egp_code, _ path: String
    ) throws -> ABIVersion {
        var provider = egp_provider()
        provider.size = UInt32(MemoryLayout<egp_provider>.size)
        guard entry(version, version, &provider) == answer else {
            throw HostError(.plugin, "plugin \(path): accepts ABI version \(ABIVersion(packed: version))")
        }
        return ABIVersion(packed: provider.abi_version)
    }

    /// The form in which a child process tells its parent.
    public func json() throws -> Data {
        let value: JSONValue = [
            "descriptor": try JSONValue(encoding: descriptor),
            "abi": ["minimum": .string("\(abi.lowerBound)"), "maximum": .string("\(abi.upperBound)")],
        ]
        return try value.json()
    }

    public init(json: Data) throws {
        let value = try JSONValue(json: json)
        guard let descriptor = value["descriptor"], let low = value["abi.minimum"]?.text.flatMap({ ABIVersion($0) }),
            let high = value["abi.maximum"]?.text.flatMap({ ABIVersion($0) }), low <= high
        else { throw HostError(.plugin, "a plugin's description lacks descriptor or abi") }
        self.descriptor = try JSONDecoder().decode(ProviderDescriptor.self, from: descriptor.json())
        abi = low...high
    }
}

extension PluginManifest {
    /// The manifest of a file that was described by loading it.
    ///
    /// - Throws: ``HostError`` if the file cannot be read, or its descriptor breaks the rules for manifests.
    public init(of path: String, _ description: PluginDescription) throws {
        // Nobody is asked to trust the file here: any owner, any folder.
        let descriptor = description.descriptor
        var document: JSONValue = [
            "manifestVersion": .integer(Self.formatVersion), "name": .string(descriptor.name),
            "version": .string(descriptor.version), "kind": .string(descriptor.kind.rawValue),
            "file": .string(path.split(separator: "/").last.map(String.init) ?? path),
            "abi": [
                "minimum": .string("\(description.abi.lowerBound)"),
                "maximum": .string("\(description.abi.upperBound)"),
            ],
            "capabilities": .array(descriptor.capabilities.map { .string($0) }),
            "sha256": .string(try Self.digest(ofFile: path)),
        ]
        if let schema = descriptor.configurationSchema { document["configurationSchema"] = schema }
        do {
            try self.init(document)
        } catch let error as HostError {
            throw HostError(error.code, "plugin \(path): \(error.message)")
        }
    }

    private static func digest(ofFile path: String) throws -> String {
        let subject = "plugin \(path)"
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw OwnershipRules.systemError(errno, subject) }
        defer { close(descriptor) }
        var digest = SHA256Digest()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var total = 0
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw OwnershipRules.systemError(errno, subject) }
            if count == 0 { return hexadecimal(digest.finish()) }
            total += count
            guard total <= PluginVerifier.maximumPluginBytes else {
                throw HostError(
                    .plugin, "\(subject): has more than \(PluginVerifier.maximumPluginBytes) bytes, the most allowed")
            }
            buffer.withUnsafeBytes { digest.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }

    /// The file's content, sorted and indented for people; signatures do not depend on the form.
    public func text() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(document) + Data("\n".utf8)
    }

    /// Writes the file as a whole or not at all, readable for everybody and writable for its owner.
    public func write(to path: String) throws {
        let subject = "manifest \(path)"
        let text = try text()
        let temporary = "\(path).\(getpid()).new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw OwnershipRules.systemError(errno, subject) }
        let written = text.withUnsafeBytes { buffer in
            var offset = 0
            while offset < buffer.count {
                let count = Glibc.write(
                    descriptor, UnsafeRawBufferPointer(rebasing: buffer[offset...]).baseAddress, buffer.count - offset)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                offset += count
            }
            return true
        }
        let isComplete = written && fchmod(descriptor, 0o644) == 0
        let code = errno
        close(descriptor)
        guard isComplete, rename(temporary, path) == 0 else {
            let reason = isComplete ? errno : code
            unlink(temporary)
            throw OwnershipRules.systemError(reason, subject)
        }
    }
}
