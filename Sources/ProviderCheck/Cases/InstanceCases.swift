import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit

/// What the plugin says of itself, and making and ending instances.
enum InstanceCases {
    private static let negotiated = ["file-loads", "negotiation-takes-highest-common"]
    private static let described = negotiated + ["descriptor-is-valid"]
    static let base = ["create-succeeds"]

    static let all = [
        CheckCase(
            "descriptor-is-valid", "The descriptor is JSON by the schema provider-descriptor.", buildsOn: negotiated
        ) { context in
            let bytes = try context.load().provider.descriptor
            try require(
                bytes.length <= UInt64(EGP_MAXIMUM_BYTES) && bytes.length > 0, "has \(bytes.length) bytes")
            try SchemaCheck.require(
                bytes.copied, .providerDescriptor, "the descriptor")
            if let schema = try context.load().descriptor()[member: "configurationSchema"] {
                do { _ = try JSONSchema(compiling: schema) } catch {
                    throw CheckError.failed("configurationSchema: \(error)")
                }
            }
        },
        CheckCase(
            "manifest-matches-descriptor",
            "The manifest beside the file is valid and tells the same as the descriptor.", buildsOn: described
        ) { context in
            try ManifestCheck.run(context)
        },
        CheckCase(
            "create-succeeds", "create makes an instance of the given settings, and destroy ends it.",
            buildsOn: described
        ) { context in
            let loaded = try context.load()
            let host = try context.makeHost()
            context.step("calling create")
            let answer = try context.create(loaded.provider, host, context.configuration)
            if answer.code == egp_code(EGP_INVALID), context.settings.config == nil {
                throw CheckError.skipped("needs settings (config in the --config file): \(answer.messageText)")
            }
            let code = ResultCode(borderCode: answer.code)?.rawValue ?? "\(answer.code)"
            try require(answer.code == egp_code(EGP_OK), "create answers \(code): \(answer.messageText)")
            guard let pointer = answer.pointer else { throw CheckError.failed("create sets no instance") }
            context.step("calling destroy")
            let instance = LiveInstance(host: host, provider: loaded.provider, pointer: pointer)
            let begun = ContinuousClock.now
            try instance.destroy()
            let time = ContinuousClock.now - begun
            try require(time < CheckLimits.hostThread, "destroy took \(time); allowed are 5 s")
        },
        CheckCase(
            "create-rejects-garbage",
            "Settings that are no JSON object get EGP_INVALID, a message, and no instance.", buildsOn: base
        ) { context in
            let loaded = try context.load()
            for garbage in ConfigurationCases.garbage {
                let text = String(decoding: garbage, as: UTF8.self)
                context.step("calling create with \(text)")
                let answer = try context.create(loaded.provider, try context.makeHost(), garbage)
                try require(
                    answer.code == egp_code(EGP_INVALID), "answers \(answer.code) to \(text); needed is EGP_INVALID")
                try require(answer.pointer == nil, "sets an instance although it refuses \(text)")
                if let problem = CompletionForm.problem(ofMessage: answer.message) {
                    throw CheckError.failed("the message on \(text) \(problem)")
                }
            }
        },
        CheckCase(
            "create-message-fits-its-buffer",
            "The message of create stays within the buffer, is cut at a character's end, and length says what was written.",
            buildsOn: base + ["create-rejects-garbage"]
        ) { context in
            let loaded = try context.load()
            let garbage = Data(#"{"ключ🙂": "значение🙂", "ключ": ["#.utf8)
            for capacity in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 4096] {
                context.step("calling create with a message buffer of \(capacity) bytes")
                let answer = try context.create(
                    loaded.provider, try context.makeHost(), garbage, capacity: capacity)
                try require(
                    answer.messageLength <= UInt64(capacity),
                    "sets length to \(answer.messageLength) with a capacity of \(capacity)")
                try require(
                    String(validating: answer.message, as: UTF8.self) != nil,
                    "cuts the message within a character at a capacity of \(capacity)")
            }
        },
        CheckCase(
            "create-calls-only-allowed-services",
            "create calls no service of the host but log, log_enabled, now_ns, current_thread and secret_read.",
            buildsOn: base
        ) { context in
            let instance = try context.makeInstance()
            let breaches = instance.host.breaches(.forbiddenInCreate)
            try require(breaches.isEmpty, breaches.joined(separator: "; "))
            try instance.destroy()
        },
    ]
}
