import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit

/// Making and ending instances.
enum InstanceCases {
    private static let base = ["file-loads", "negotiation-takes-highest-common", "descriptor-is-valid"]

    static let all = [
        CheckCase(
            "descriptor-is-valid", "The descriptor is a JSON object with name, version and capabilities.",
            buildsOn: ["file-loads", "negotiation-takes-highest-common"]
        ) { context in
            let descriptor = try context.load().descriptor()
            guard let members = descriptor.members else { throw CheckError.failed("is \(descriptor.kind)") }
            for name in ["name", "version"] {
                try require(members[name]?.text?.isEmpty == false, "\(name): must be a string that is not empty")
            }
            guard case .array(let list)? = members["capabilities"], !list.isEmpty else {
                throw CheckError.failed("capabilities: must be a list that is not empty")
            }
            let form = /[a-z][a-z0-9-]*\/[1-9][0-9]*/
            for value in list {
                try require(
                    value.text?.wholeMatch(of: form) != nil, "capabilities: \(value) is not of the form name/revision")
            }
            try require(Set(list).count == list.count, "capabilities: one is listed twice")
        },
        CheckCase(
            "create-succeeds", "create makes an instance of the given settings, and destroy ends it.", buildsOn: base
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
            try LiveInstance(host: host, provider: loaded.provider, pointer: pointer).destroy()
        },
    ]
}
