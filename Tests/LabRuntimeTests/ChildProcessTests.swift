import LinuxNet
import Testing

@testable import Lab

@Suite struct ChildProcessTests {
    private func shell(_ script: String) -> ChildCommand { ChildCommand("/bin/sh", ["-c", script]) }

    @Test func inputReachesTheChildAndItsStreamsComeBackApart() async throws {
        let output = try await ChildProcess.run(
            shell("cat; echo problem >&2; exit 3"), input: Array(repeating: UInt8(ascii: "x"), count: 300_000))
        #expect(output.status == .exited(3))
        #expect(output.standardOutput.count == 300_000)
        #expect(output.errorText == "problem\n")
    }

    @Test func aChildThatDoesNotEndIsKilledWithItsChildren() async throws {
        let start = ContinuousClock().now
        let error = await #expect(throws: LabError.self) {
            try await ChildProcess.run(shell("sleep 60 & sleep 60"), timeout: .milliseconds(200))
        }
        #expect(error?.code == .timeout)
        #expect(ContinuousClock().now - start < .seconds(20))
    }

    @Test func moreOutputThanTheLimitIsDropped() async throws {
        let output = try await ChildProcess.run(shell("yes | head -c 100000"), outputLimit: 1000)
        #expect(output.standardOutput.count == 1000)
        #expect(output.status.isSuccess)
    }

    @Test func aProgramThatIsNotThereIsNamed() async throws {
        let error = await #expect(throws: LabError.self) { try await ChildProcess.run(ChildCommand("/no/such", [])) }
        #expect(error?.message == "cannot start /no/such")
    }

    @Test func theEnvironmentIsWhatWasGiven() async throws {
        let output = try await ChildProcess.run(ChildCommand("/usr/bin/env", [], environment: ["A": "1", "B": "2"]))
        #expect(output.outputText == "A=1\nB=2\n")
    }
}
