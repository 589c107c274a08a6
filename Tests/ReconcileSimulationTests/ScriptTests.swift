import Foundation
import Testing

/// Stories that operators can read, run with the manager's production code (docs/reconcile.md). A script that does not
/// hold says at which line, and what the world was like then.
@Suite struct ScriptTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Scripts")

    /// All there are; a folder that cannot be read is seen by the first test.
    private static let scripts =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).filter { $0.hasSuffix(".script") }
        .sorted()

    @Test func thereAreScripts() { #expect(Self.scripts.count >= 10) }

    /// In one order of all tasks that stays, and in one that no run of the tests had before.
    @Test(arguments: scripts) func theStoryHolds(_ name: String) throws {
        for seed in [1, UInt64(Date().timeIntervalSince1970)] {
            let file = Self.folder.appending(path: name).path
            let result = try SimulationProcess.run("--script", file, "--seed", String(seed))
            #expect(result.status == 0 && result.lastLine.hasSuffix("it holds"), "\(result.output)")
        }
    }

    @Test(arguments: [
        ("pool blue with 2 machines\n\nstart manger a", 3, "\"start manager MANAGER\""),
        ("pool blue with many machines", 1, "\"many\" is no number"),
        ("expect the best", 1, "\"nothing is left open\""),
        ("fly", 1, "\"fly\" is not understood"),
        ("start manager a\nstart manager a", 2, "it runs already"),
        ("stop manager a", 1, "no such manager runs"),
        ("delete gateway web", 1, "there is none of that name"),
        ("# A comment.\npool blue with 1 machines\nreplace machine blue-7", 3, "there is no such machine"),
        ("pool blue with 1 machines\nexpect machines of blue have 1 addresses", 2, "it does not hold"),
        (
            "pool blue with 1 machines\nstart manager a\ncreate gateway web on pool blu\n"
                + "wait until gateway web is ready", 4, "it did not come true"
        ),
    ])
    func aLineThatIsWrongIsNamed(text: String, line: Int, reason: String) throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "kegwt-\(UUID().uuidString).script")
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let result = try SimulationProcess.run("--script", file.path)
        #expect(result.status == 1)
        #expect(result.output.contains("\(file.path):\(line): ") && result.output.contains(reason), "\(result.output)")
    }
}
