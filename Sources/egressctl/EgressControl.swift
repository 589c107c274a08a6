import ArgumentParser
import Lab

/// The command a person uses.
@main
struct EgressControl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "egressctl",
        abstract: "Pods that leave a Kubernetes cluster with a fixed source address: lab, demo and inspection.",
        subcommands: [LabCommand.self, DemoCommand.self, PluginsCommand.self, CloudCommand.self])
}

/// Options of every command that deals with a lab.
struct LabOptions: ParsableArguments {
    @Option(name: .customLong("state-dir"), help: "Where the lab keeps its files. Default: lab in the install tree.")
    var stateDirectory: String?

    func layout() throws -> LabLayout {
        try LabLayout.standard(stateDirectory: stateDirectory)
    }
}
