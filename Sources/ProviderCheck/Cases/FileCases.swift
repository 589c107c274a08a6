import ProviderAPI

/// What the file is, before it is asked anything.
enum FileCases {
    /// What a linker adds to every shared object that has no version script (its default linker script, `ld --verbose`).
    private static let linkerSymbols: Set = ["__bss_start", "_edata", "_end", "_init", "_fini"]

    static let all = [
        CheckCase(
            "file-loads", "The file opens with RTLD_NOW and RTLD_LOCAL in a process that offers it no symbols of ours."
        ) { context in
            context.step("loading the file")
            _ = try LoadedFile(path: context.pluginPath)
        },
        CheckCase("file-exports-only-the-entry", "The file exports egp_provider_entry and nothing else.") { context in
            let exported = try ELFImage(path: context.pluginPath).symbols.filter { $0.isDefined && $0.isExported }
            let others = exported.map(\.name).filter { $0 != LoadedFile.entrySymbol && !linkerSymbols.contains($0) }
                .sorted()
            try require(
                others.isEmpty,
                "also exports \(others.prefix(5).joined(separator: ", "))"
                    + (others.count > 5 ? " and \(others.count - 5) more" : ""))
        },
        CheckCase("file-needs-no-host-library", "The file asks for no symbol and no library of the host.") { context in
            let image = try ELFImage(path: context.pluginPath)
            let symbols = image.symbols.filter { !$0.isDefined && $0.name.hasPrefix("egp_") }.map(\.name)
            try require(symbols.isEmpty, "asks others for \(symbols.sorted().joined(separator: ", "))")
            let libraries = image.needed.filter { name in
                ["libegress", "libHost", "libProvider"].contains { name.hasPrefix($0) }
            }
            try require(libraries.isEmpty, "needs \(libraries.joined(separator: ", "))")
        },
        CheckCase(
            "scan-is-fast-and-offline",
            "Loading the file and calling its entry starts no thread and no process, opens no socket, and is quick.",
            buildsOn: ["file-loads"]
        ) { context in
            let before = ProcessState.read()
            let begun = ContinuousClock.now
            _ = try context.load()
            let time = ContinuousClock.now - begun
            let after = ProcessState.read()
            try require(
                after.threads <= before.threads, "has started \(after.threads - before.threads) threads")
            try require(after.children == before.children, "has started the processes \(after.children)")
            let opened = after.descriptors.filter { before.descriptors[$0.key] == nil }
            try require(opened.isEmpty, "has left open \(opened.values.sorted().joined(separator: ", "))")
            try require(time < CheckLimits.hostThread, "took \(time); allowed are \(CheckLimits.hostThread)")
            if time > .seconds(1) { context.warn("took \(time)") }
        },
    ]
}
