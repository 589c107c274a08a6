import FoundationEssentials
import Glibc
import ProviderAPI
import ProviderKit

/// What the plugin does to the process that it is a guest in.
enum EnvironmentCases {
    static let all = [
        CheckCase(
            "calls-leave-the-process-alone",
            "No call changes signal handlers or masks, working directory, umask, locale, rounding, environment or namespaces.",
            buildsOn: VerbCases.completes + ["cancel-of-unknown-is-harmless"]
        ) { context in
            let loaded = try context.load()
            // The first call may initialise a run-time system; after it nothing may change.
            var surroundings = Surroundings.read()
            let compare = { (what: String) throws in
                let now = Surroundings.read()
                let differences = surroundings.differences(to: now)
                surroundings = now
                try require(differences.isEmpty, "\(what) has changed \(differences.joined(separator: ", "))")
            }
            let instance = try context.makeInstance(loaded)
            try compare("create")
            for verb in try instance.allVerbs(loaded) where verb.name != .prune {
                context.step("calling \(verb.what)")
                _ = try instance.call(verb.function, verb.what, RequestText.empty)
                try compare(verb.what)
            }
            instance.cancel(1)
            try compare("cancel")
            context.step("calling destroy")
            try instance.destroy()
            try compare("destroy")
        },
        CheckCase(
            "nothing-is-printed", "The plugin writes nothing to standard output; on standard error it is a warning.",
            buildsOn: VerbCases.completes
        ) { context in
            let outputs = try [(Int32(1), "output"), (Int32(2), "error")].map { number, name in
                (try CapturedDescriptor(number), name)
            }
            try context.onInstance { instance, verbs in
                for verb in verbs where verb.name != .prune {
                    context.step("calling \(verb.what)")
                    _ = try instance.call(verb.function, verb.what, RequestText.empty)
                    _ = try instance.call(verb.function, verb.what, Data("{".utf8))
                }
            }
            fflush(nil)
            for (output, name) in outputs {
                let text = output.restore()
                guard !text.isEmpty else { continue }
                if name == "error" {
                    context.warn("wrote to standard error: \(text.prefix(200))")
                } else {
                    throw CheckError.failed("wrote to standard output: \(text.prefix(200))")
                }
            }
        },
        CheckCase(
            "no-process-is-left", "When items are removed and the instance is destroyed, no process is left.",
            buildsOn: ["ensure-is-idempotent"], needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                try stage.succeed(.ensure, stage.items)
                try stage.succeed(.remove, stage.items)
            }
            var left: [String] = []
            for _ in 0..<100 {
                // Orphans are ours now; those that have ended are not left.
                while waitpid(-1, nil, WNOHANG) > 0 {}
                left = ProcessState.read().children
                if left.isEmpty { return }
                context.pause(.milliseconds(20))
            }
            throw CheckError.failed("has left \(left.joined(separator: ", "))")
        },
    ]
}
