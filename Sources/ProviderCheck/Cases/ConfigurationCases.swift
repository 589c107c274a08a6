import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit

/// validate and reconfigure, and how they agree with create.
enum ConfigurationCases {
    /// Settings that no plugin takes.
    static let garbage =
        [
            "", " ", "{", "[]", "null", "7", "true", "\"{}\"", "{}{}", "{\"a\":}", "{'a': 1}", "{\"a\": 1,}",

        ].map { Data($0.utf8) } + [
            Data([0]), Data("{}".utf8) + Data([0]), Data([0xC3, 0x28]), Data("{\"\u{00E9}".utf8.dropLast()),
        ]

    static let all = [
        CheckCase(
            "validate-agrees-with-create",
            "validate refuses what create refuses, takes what create takes, and reports mistakes by its schema.",
            buildsOn: InstanceCases.base + ["create-rejects-garbage"]
        ) { context in
            let loaded = try context.load()
            guard loaded.provider.validate != nil else { throw CheckError.skipped("offers no validate") }
            for settings in garbage + ConfigurationVariants.of(context.settings.config) {
                let text = String(decoding: settings, as: UTF8.self)
                context.step("calling validate and create with \(text)")
                let judged = try validate(loaded, settings)
                let host = try context.makeHost()
                let created = try context.create(loaded.provider, host, settings)
                if created.code == egp_code(EGP_OK), let pointer = created.pointer {
                    try LiveInstance(host: host, provider: loaded.provider, pointer: pointer).destroy()
                }
                let isInvalid = created.code == egp_code(EGP_INVALID)
                try require(
                    judged == egp_code(isInvalid ? EGP_INVALID : EGP_OK),
                    "validate answers \(judged) and create \(created.code) to \(text)")
            }
        },
        CheckCase(
            "validate-has-no-effect", "validate opens nothing, starts nothing, and may be called from any thread.",
            buildsOn: InstanceCases.base
        ) { context in
            let loaded = try context.load()
            guard loaded.provider.validate != nil else { throw CheckError.skipped("offers no validate") }
            let settings = context.configuration
            _ = try validate(loaded, settings)
            let before = ProcessState.read()
            for _ in 0..<20 { _ = try validate(loaded, settings) }
            let boxed = UncheckedBox(loaded)
            try Threads.run { _ = try validate(boxed.value, settings) }
            // A thread that was joined is listed for a moment more.
            let after = ProcessState.settled(until: before)
            try require(after.children == before.children, "has started the processes \(after.children)")
            try require(
                after.threads <= before.threads, "has started \(after.threads - before.threads) threads")
            try require(
                after.descriptors == before.descriptors,
                "has left open \(after.descriptors.values.sorted().joined(separator: ", "))")
        },
        CheckCase(
            "reconfigure-agrees-with-create",
            "reconfigure takes the settings in force, and refuses with a message what create refuses.",
            buildsOn: VerbCases.completes + ["create-rejects-garbage"], unlessFailed: ["instances-are-independent"]
        ) { context in
            let loaded = try context.load()
            guard let reconfigure = loaded.provider.reconfigure else {
                throw CheckError.skipped("offers no reconfigure")
            }
            let instance = try context.makeInstance(loaded)
            let same = try apply(reconfigure, instance, context.configuration)
            try require(same.0 == egp_code(EGP_OK), "answers \(same.0) (\(same.1)) to the settings in force")
            for settings in garbage + ConfigurationVariants.of(context.settings.config) {
                let text = String(decoding: settings, as: UTF8.self)
                context.step("calling reconfigure with \(text)")
                let isGood = try takes(context, loaded, settings)
                let (code, message) = try apply(reconfigure, instance, settings)
                if isGood {
                    try require(
                        code == egp_code(EGP_OK) || code == egp_code(EGP_UNSUPPORTED),
                        "answers \(code) (\(message)) to \(text), which create takes")
                } else {
                    try require(code == egp_code(EGP_INVALID), "answers \(code) to \(text), which create refuses")
                }
                try require(code == egp_code(EGP_OK) || !message.isEmpty, "does not say what is wrong in \(text)")
            }
            try instance.destroy()
            let fresh = try context.makeInstance(loaded)
            for settings in context.settings.liveConfigs {
                let (code, message) = try apply(reconfigure, fresh, settings.json())
                try require(code == egp_code(EGP_OK), "answers \(code) (\(message)) to \(settings) of liveConfigs")
            }
            try fresh.destroy()
        },
    ]

    /// Whether create does not answer EGP_INVALID.
    private static func takes(_ context: CaseContext, _ loaded: LoadedProvider, _ settings: Data) throws -> Bool {
        let host = try context.makeHost()
        let answer = try context.create(loaded.provider, host, settings)
        if answer.code == egp_code(EGP_OK), let pointer = answer.pointer {
            try LiveInstance(host: host, provider: loaded.provider, pointer: pointer).destroy()
        }
        return answer.code != egp_code(EGP_INVALID)
    }

    typealias Reconfigure =
        @convention(c) (OpaquePointer, egp_bytes, UnsafeMutablePointer<egp_message>) -> egp_code

    /// Calls reconfigure with settings and a message buffer that end at guarded pages and are then taken away.
    static func apply(
        _ reconfigure: Reconfigure, _ instance: LiveInstance, _ settings: Data
    ) throws -> (egp_code, String) {
        let lent = try GuardedMemory(settings)
        let buffer = try GuardedMemory(count: CaseContext.messageBytes)
        var message = egp_message(
            buffer: buffer.pointer.assumingMemoryBound(to: UInt8.self), capacity: UInt64(buffer.count), length: 0)
        let code = instance.host.inside(Int32(EGP_THREAD_HOST)) {
            reconfigure(instance.pointer, egp_bytes(data: lent.bytes, length: UInt64(lent.count)), &message)
        }
        let text = String(decoding: buffer.data.prefix(Int(clamping: message.length)), as: UTF8.self)
        lent.lock()
        buffer.lock()
        return (code, text)
    }

    /// Calls validate and holds its report to the schema and to its code.
    private static func validate(_ loaded: LoadedProvider, _ settings: Data) throws -> egp_code {
        let lent = try GuardedMemory(settings)
        let report = ReportSink()
        var sink = egp_sink(
            size: UInt32(MemoryLayout<egp_sink>.size), flags: 0,
            context: Unmanaged.passUnretained(report).toOpaque(),
            write: { context, chunk in
                guard let context else { return }
                Unmanaged<ReportSink>.fromOpaque(context).takeUnretainedValue().take(chunk)
            })
        let code =
            loaded.provider.validate?(egp_bytes(data: lent.bytes, length: UInt64(lent.count)), &sink)
            ?? egp_code(EGP_UNSUPPORTED)
        lent.lock()
        let json = report.close()
        try require(
            code == egp_code(EGP_OK) || code == egp_code(EGP_INVALID),
            "validate answers \(code); needed is OK or INVALID")
        if code == egp_code(EGP_OK), json.isEmpty { return code }
        try SchemaCheck.require(json, .validationReport, "the report of validate")
        let mistakes = try JSONValue(json: json)[member: "mistakes"]?.elements.count ?? 0
        try require(
            (code == egp_code(EGP_INVALID)) == (mistakes > 0),
            "validate answers \(code) and reports \(mistakes) mistakes")
        return code
    }
}

/// Takes the chunks of a report, on the thread that asked for it.
private final class ReportSink {
    private var bytes = Data()

    func take(_ chunk: egp_bytes) {
        if bytes.count + Int(clamping: chunk.length) <= Int(EGP_MAXIMUM_BYTES) { bytes += chunk.copied }
    }

    func close() -> Data { bytes }
}

/// A value that crosses to a thread which is awaited before anybody else looks at it.
struct UncheckedBox<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}

/// Settings one change away from good ones.
enum ConfigurationVariants {
    /// Without settings nothing can be varied but the unknown member.
    static func of(_ config: JSONValue?) -> [Data] {
        guard let members = config?.members else { return [Data(#"{"egressProviderCheck": 1}"#.utf8)] }
        var variants: [[String: JSONValue]] = [members.merging(["egressProviderCheck": .integer(1)]) { $1 }]
        for name in members.keys.sorted() {
            var without = members
            without[name] = nil
            variants.append(without)
            for value: JSONValue in [
                .null, .integer(-1), .number(1e300), .string(""), .array([]), .object([:]), .bool(true),
            ] {
                var changed = members
                changed[name] = value
                variants.append(changed)
            }
        }
        return variants.compactMap { try? JSONValue.object($0).json() }
    }
}
