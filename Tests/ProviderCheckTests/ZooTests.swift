import Foundation
import JSONModel
import Testing

@testable import ProviderCheck

/// A provider that is right, and one for each way of being wrong: `Zoo/defects.h`.
@Suite struct ZooTests {
    /// One broken provider.
    struct Animal: Sendable, CustomTestStringConvertible {
        var defect: String
        /// The cases made for the defect.
        var caughtBy: Set<String>
        /// Why more than one case must fail.
        var because: String?

        init(_ defect: String, _ caughtBy: String..., because: String? = nil) {
            self.defect = defect
            self.caughtBy = Set(caughtBy)
            self.because = because
        }

        var testDescription: String { defect }
    }

    static let config = JSONValue.object([
        "config": ["frontendIP": "10.0.0.4", "firstPort": 6000], "secrets": ["token": "hush-hush-hush"],
        "liveConfigs": [["frontendIP": "10.0.0.5", "firstPort": 6000]],
        "capabilities": [
            "load-balancer/1": [
                "items": [item("a", 8080), item("b", 8081), item("c", 1)], "invalidItems": [item("bad", 0)],
                "prune": [:],
            ]
        ],
    ])

    private static func item(_ id: String, _ port: Int64) -> JSONValue {
        ["id": .string(id), "pool": ["nodepoolName": "gw"], "probe": ["path": "/gw", "port": .integer(port)]]
    }

    static let zoo = [
        Animal("exports_more", "file-exports-only-the-entry"),
        Animal("needs_host_symbol", "file-needs-no-host-library"),
        Animal("starts_thread_when_loaded", "scan-is-fast-and-offline"),
        Animal("opens_socket_in_entry", "scan-is-fast-and-offline"),
        Animal("takes_unknown_version", "negotiation-takes-highest-common"),
        Animal("forgets_magic", "negotiation-takes-highest-common"),
        Animal("accepts_old_host", "negotiation-refuses-old-host"),
        Animal("accepts_new_host", "negotiation-refuses-new-host"),
        Animal("ignores_short_struct", "negotiation-respects-short-struct"),
        Animal("clears_long_struct", "negotiation-respects-long-struct"),
        Animal("entry_works_once", "negotiation-is-idempotent"),
        Animal("descriptor_lacks_version", "descriptor-is-valid"),
        Animal("descriptor_lists_too_much", "capabilities-match-descriptor"),
        Animal("gives_table_for_unknown", "capabilities-match-descriptor"),
        Animal("compares_prefix_only", "capability-unknown-is-null"),
        Animal("table_changes", "capability-is-stable"),
        Animal("takes_any_settings", "create-rejects-garbage"),
        Animal("writes_beyond_message", "create-message-fits-its-buffer"),
        Animal("cuts_characters", "create-message-fits-its-buffer"),
        Animal("keeps_settings", "create-keeps-no-argument"),
        Animal("calls_http_in_create", "create-calls-only-allowed-services"),
        Animal("needs_optional_service", "create-lives-with-a-small-host"),
        Animal("leaks_memory", "instances-leave-nothing-behind"),
        Animal("leaks_descriptor", "instances-leave-nothing-behind"),
        Animal("leaks_thread", "instances-leave-nothing-behind"),
        Animal("ends_with_first_instance", "instances-are-independent"),
        Animal("uses_last_host", "instances-are-independent"),
        Animal("validate_is_lenient", "validate-agrees-with-create"),
        Animal("validate_reports_nothing", "validate-agrees-with-create"),
        Animal("validate_leaks", "validate-has-no-effect"),
        Animal("reconfigure_applies_half", "refused-settings-change-nothing"),
        Animal("reconfigure_is_lenient", "reconfigure-agrees-with-create"),
        Animal("probe_answers_badly", "probe-answers"),
        Animal("blocks_in_verb", "verbs-return-in-time"),
        Animal("completes_twice", "verbs-complete-exactly-once"),
        Animal("never_completes", "verbs-complete-exactly-once"),
        Animal("completes_unknown_ticket", "verbs-complete-exactly-once"),
        Animal("completes_refused_call", "refused-calls-do-not-complete"),
        Animal("ignores_flags", "verbs-refuse-unknown-flags"),
        Animal("reads_beyond_short_call", "verbs-refuse-short-call"),
        Animal("refuses_long_call", "verbs-take-long-call"),
        Animal("takes_oversized", "verbs-refuse-oversized"),
        Animal("completion_has_unknown_code", "completions-are-well-formed"),
        Animal("message_has_lines", "completions-are-well-formed"),
        Animal("reads_beyond_request", "verbs-read-within-the-request"),
        Animal("keeps_request", "verbs-keep-no-request"),
        Animal("keeps_call", "verbs-keep-no-request"),
        Animal("takes_malformed", "verbs-reject-malformed-json"),
        Animal("message_names_nothing", "verbs-reject-malformed-json"),
        Animal("refuses_unknown_members", "verbs-ignore-unknown-members"),
        Animal("refuses_empty_batch", "empty-batches-are-answered"),
        Animal("recurses_without_bound", "deep-json-is-survived"),
        Animal("crashes_on_unknown_ticket", "cancel-of-unknown-is-harmless"),
        Animal("cancelled_completes_twice", "cancelled-calls-complete-once"),
        Animal("cancelled_never_completes", "cancelled-calls-complete-once"),
        Animal("overdue_never_completes", "overdue-calls-complete"),
        Animal("completes_after_destroy", "destroy-ends-calls-in-flight"),
        Animal("leaks_per_call", "calls-leave-nothing-behind"),
        Animal("leaks_descriptor_per_call", "calls-leave-nothing-behind"),
        Animal("ensure_moves_port", "ensure-is-idempotent"),
        Animal("remove_of_absent_fails", "remove-of-absent-succeeds"),
        Animal("remove_does_nothing", "remove-removes"),
        Animal("result_lacks_observed", "results-match-schema"),
        Animal("result_forgets_last", "results-name-each-item-once"),
        Animal("status_lists_nothing", "status-lists-what-exists"),
        Animal("check_makes", "check-changes-nothing"),
        Animal("prune_removes_all", "prune-keeps-what-is-named"),
        Animal("prune_removes_nothing", "prune-keeps-what-is-named"),
        Animal("bad_item_fails_all", "bad-items-fail-alone"),
        Animal("takes_duplicates", "duplicate-ids-are-refused"),
        Animal("refuses_unknown_item_members", "items-ignore-unknown-members"),
        Animal("cancelled_ensure_sticks", "ensure-can-be-given-up"),
        Animal("keeps_megabyte_per_item", "large-batches-are-bounded"),
        Animal("forgets_to_lock", "concurrent-calls-are-safe"),
        Animal("changes_directory", "calls-leave-the-process-alone"),
        Animal("changes_umask", "calls-leave-the-process-alone"),
        Animal("blocks_signal", "calls-leave-the-process-alone"),
        Animal("handles_signal", "calls-leave-the-process-alone"),
        Animal("sets_environment", "calls-leave-the-process-alone"),
        Animal("prints", "nothing-is-printed"),
        Animal("leaves_process", "no-process-is-left"),
        Animal("logs_bad_metadata", "host-services-are-used-well"),
        Animal("sends_bad_metric", "host-services-are-used-well"),
        Animal("logs_secret", "secrets-are-not-told"),
        Animal("dies_of_large_number", "fuzz-json"),
        Animal("dies_of_strange_settings", "fuzz-configuration"),
        Animal("dies_of_four_instances", "fuzz-call-order"),
    ]

    @Test func soundProviderPassesEverything() async throws {
        let run = try await Self.check("sound")
        #expect(run.names(.failed).isEmpty, "\(run.output)")
        // No manifest lies beside a file that was compiled a moment ago.
        #expect(run.names(.skipped) == ["manifest-matches-descriptor"], "\(run.output)")
        #expect(run.status == 0)
        #expect(run.reports.map(\.name) == Catalogue.all.map(\.name))
    }

    @Test func everyDefectIsInTheZooAndEveryCaseHasAnAnimal() throws {
        let header = try String(contentsOf: Self.folder.appending(path: "defects.h"), encoding: .utf8)
        let list = try #require(header.split(separator: "enum defect {").last?.split(separator: "};").first)
        let text = list.replacing(/\/\*[^*]*\*\//, with: "").replacing("sound = 0,", with: "")
        let defects = text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
        #expect(Set(defects) == Set(Self.zoo.map(\.defect)))
        let caught = Self.zoo.reduce(into: Set<String>()) { $0.formUnion($1.caughtBy) }
        let others: Set = ["file-loads", "create-succeeds", "manifest-matches-descriptor", "concurrent-items-are-safe"]
        #expect(Set(Catalogue.all.map(\.name)).subtracting(caught) == others)
    }

    /// Three at a time: half of the time a validator waits for what must not happen.
    @Test func eachDefectIsCaughtByItsCaseAndByNoOther() async throws {
        try await withThrowingTaskGroup(of: (Animal, Validator.Run).self) { group in
            var waiting = Self.zoo[...]
            for _ in 0..<3 {
                if let animal = waiting.popFirst() { group.addTask { (animal, try await Self.check(animal.defect)) } }
            }
            for try await (animal, run) in group {
                #expect(run.names(.failed) == animal.caughtBy, "\(animal.defect): \(Self.failures(run))")
                #expect(run.status == 1, "\(animal.defect)")
                #expect(animal.caughtBy.count == 1 || animal.because != nil, "\(animal.defect)")
                if let next = waiting.popFirst() { group.addTask { (next, try await Self.check(next.defect)) } }
            }
        }
    }

    private static let folder = Validator.root.appending(path: "Tests/ProviderCheckTests/Zoo")

    private static func failures(_ run: Validator.Run) -> String {
        run.reports.filter { $0.outcome == .failed }.map { "\($0.name): \($0.reason ?? "")" }.joined(separator: "; ")
    }

    private static func check(_ defect: String) async throws -> Validator.Run {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let plugin = folder.url.appending(path: "libZoo.so").path
        let arguments = [
            "clang", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread",
            "-DBROKEN=\(defect)", "-DBROKEN_\(defect)", "-I", "Sources/ProviderAPI/include", "-I",
            "deploy/examples/provider-in-c", "-o", plugin, "Tests/ProviderCheckTests/Zoo/provider.c",
        ]
        let (status, _) = try await Validator.launch(
            URL(filePath: "/usr/bin/env"), arguments, in: Validator.root)
        try #require(status == 0, "clang refuses \(defect)")
        return try await Validator.run(plugin, config: config)
    }
}
