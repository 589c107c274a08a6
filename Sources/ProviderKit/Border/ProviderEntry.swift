import ProviderAPI
import Synchronization

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The body of a plugin's one exported function.
///
///     @c @implementation
///     public func egp_provider_entry(
///         _ hostMinimum: UInt32, _ hostMaximum: UInt32, _ out: UnsafeMutablePointer<egp_provider>
///     ) -> egp_code {
///         ProviderEntry.fill(out, hostMinimum, hostMaximum, with: MyProvider.self)
///     }
public enum ProviderEntry {
    /// The provider type of this image and its descriptor's bytes, which live as long as the process.
    ///
    /// Each plugin image has a copy of this module of its own, so "of this image" is "of this plugin".
    private struct Registration: @unchecked Sendable {
        // Sendable: the pointed-to bytes are written once, before the registration is published, and never freed.
        let type: any Provider.Type
        let descriptor: UnsafeBufferPointer<UInt8>
    }

    private static let registration = Mutex<Registration?>(nil)

    /// Negotiates the ABI version and fills `out`, touching at most `out.size` bytes of it.
    public static func fill(
        _ out: UnsafeMutablePointer<egp_provider>, _ hostMinimum: UInt32, _ hostMaximum: UInt32,
        with type: any Provider.Type
    ) -> egp_code {
        let known = UInt32(EGP_ABI_VERSION)
        let room = Int(out.pointee.size)
        let versionEnd = (MemoryLayout<egp_provider>.offset(of: \.abi_version) ?? 0) + MemoryLayout<UInt32>.size
        guard room >= versionEnd else { return egp_code(EGP_INVALID) }
        guard hostMinimum <= known, known <= hostMaximum else {
            out.pointee.abi_version = known
            return egp_code(hostMaximum < known ? EGP_HOST_TOO_OLD : EGP_HOST_TOO_NEW)
        }
        guard room >= MemoryLayout<egp_provider>.size else { return egp_code(EGP_INVALID) }
        guard let descriptor = register(type) else { return egp_code(EGP_TERMINAL) }
        let filled = egp_provider(
            size: UInt32(MemoryLayout<egp_provider>.size), abi_version: known, magic: UInt32(EGP_MAGIC), flags: 0,
            descriptor: egp_bytes(data: descriptor.baseAddress, length: UInt64(descriptor.count)),
            create: create, destroy: destroy, capability: capability, cancel: cancel, validate: validate,
            reconfigure: InstanceBox.offersReconfigure(type) ? reconfigure : nil,
            probe: InstanceBox.offersProbe(type) ? probe : nil)
        withUnsafeBytes(of: filled) {
            UnsafeMutableRawPointer(out).copyMemory(from: $0.baseAddress ?? .init(out), byteCount: $0.count)
        }
        return egp_code(EGP_OK)
    }

    private static func register(_ type: any Provider.Type) -> UnsafeBufferPointer<UInt8>? {
        registration.withLock { registration in
            if let registration { return registration.descriptor }
            guard let json = try? JSONEncoder().encode(type.descriptor) else { return nil }
            let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: json.count)
            _ = copy.initialize(from: json)
            registration = Registration(type: type, descriptor: UnsafeBufferPointer(copy))
            return registration?.descriptor
        }
    }

    static var registeredType: (any Provider.Type)? { registration.withLock { $0?.type } }
}

private func create(
    _ host: UnsafePointer<egp_host>, _ configuration: egp_bytes,
    _ instance: UnsafeMutablePointer<OpaquePointer?>?, _ error: UnsafeMutablePointer<egp_message>
) -> egp_code {
    guard let type = ProviderEntry.registeredType, let instance else { return egp_code(EGP_TERMINAL) }
    do {
        let box = try InstanceBox(type, host: host, configuration: configuration.copied)
        instance.pointee = OpaquePointer(Unmanaged.passRetained(box).toOpaque())
        return egp_code(EGP_OK)
    } catch let failure {
        let failure = ProviderError(failure)
        write(failure.message, to: error)
        return failure.code == .ok ? egp_code(EGP_TERMINAL) : failure.code.borderCode
    }
}

private func destroy(_ instance: OpaquePointer) {
    let box = Unmanaged<InstanceBox>.fromOpaque(UnsafeRawPointer(instance)).takeRetainedValue()
    box.close()
}

private func capability(_ instance: OpaquePointer, _ identifier: egp_bytes) -> UnsafePointer<egp_capability>? {
    Unmanaged<InstanceBox>.fromOpaque(UnsafeRawPointer(instance)).takeUnretainedValue().table(identifier.text)
}

private func cancel(_ instance: OpaquePointer, _ ticket: UInt64) {
    Unmanaged<InstanceBox>.fromOpaque(UnsafeRawPointer(instance)).takeUnretainedValue().cancel(ticket)
}

private func validate(_ configuration: egp_bytes, _ report: UnsafePointer<egp_sink>) -> egp_code {
    struct Report: Encodable { var mistakes: [ConfigurationMistake] }
    let sink = report.pointee
    guard let type = ProviderEntry.registeredType, sink.size >= UInt32(MemoryLayout<egp_sink>.size), sink.flags == 0,
        let write = sink.write
    else { return egp_code(EGP_INVALID) }
    let mistakes = type.mistakes(in: configuration.copied)
    guard let json = try? JSONEncoder().encode(Report(mistakes: mistakes)) else { return egp_code(EGP_TERMINAL) }
    json.withBorderBytes { write(sink.context, $0) }
    return egp_code(mistakes.isEmpty ? EGP_OK : EGP_INVALID)
}

private func reconfigure(
    _ instance: OpaquePointer, _ configuration: egp_bytes, _ error: UnsafeMutablePointer<egp_message>
) -> egp_code {
    do {
        try Unmanaged<InstanceBox>.fromOpaque(UnsafeRawPointer(instance)).takeUnretainedValue()
            .reconfigure(configuration.copied)
        return egp_code(EGP_OK)
    } catch let failure {
        let failure = ProviderError(failure)
        write(failure.message, to: error)
        return failure.code == .ok ? egp_code(EGP_TERMINAL) : failure.code.borderCode
    }
}

private func probe(
    _ instance: OpaquePointer, _ call: UnsafePointer<egp_call>, _ request: egp_bytes
) -> egp_code {
    Unmanaged<InstanceBox>.fromOpaque(UnsafeRawPointer(instance)).takeUnretainedValue().startProbe(call).borderCode
}

/// Writes as much of `text` as fits, cut at a character's end.
private func write(_ text: String, to message: UnsafeMutablePointer<egp_message>) {
    guard let buffer = message.pointee.buffer else { return }
    let capacity = Int(message.pointee.capacity)
    var length = 0
    for character in text {
        let bytes = Array(String(character).utf8)
        guard length + bytes.count <= capacity else { break }
        for byte in bytes {
            buffer[length] = byte
            length += 1
        }
    }
    message.pointee.length = UInt64(length)
}
