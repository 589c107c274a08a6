import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit
import Synchronization

/// Many items, and many calls at a time.
enum LoadCases {
    private static let batchItems = 1_000
    /// Resident memory that a batch may leave in the process, and time that it may take.
    private static let batchBytes = 128 * 1024 * 1024
    private static let batchTime = Duration.seconds(60)

    static let all = [
        CheckCase(
            "large-batches-are-bounded",
            "A thousand items of one call are answered one by one, within a minute and 128 MiB.",
            buildsOn: WorldCases.works + ["results-name-each-item-once"], needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                guard let item = stage.items.first, let members = item.members else { return }
                // Absent items: what is asked for is the answer, not a thousand load balancers.
                let many = (0..<batchItems).map { index in
                    JSONValue.object(members.merging(["id": .string("egress-provider-check-\(index)")]) { $1 })
                }
                let before = ProcessState.read().residentBytes
                let begun = ContinuousClock.now
                let answers = try stage.call(.remove, many)
                let time = ContinuousClock.now - begun
                let grown = ProcessState.read().residentBytes - before
                try require(answers.count == batchItems, "answers \(answers.count) of \(batchItems) items")
                try require(time < batchTime, "took \(time) for \(batchItems) items that do not exist")
                try require(grown < batchBytes, "has taken \(grown / 1_048_576) MiB for \(batchItems) items")
            }
        },
        CheckCase(
            "concurrent-items-are-safe",
            "ensure, status and remove of different items at the same time each do what they do alone.",
            buildsOn: WorldCases.works + ["concurrent-calls-are-safe"], needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                let first = Mutex<(any Error)?>(nil)
                Threads.run(stage.items.count) { index in
                    do {
                        let item = [stage.items[index]]
                        for _ in 0..<2 {
                            let made = try stage.succeed(.ensure, item)
                            try require(made.map(\.id) == item.compactMap(\.identifier), "ensure answers \(made)")
                            if try stage.offers(.status) { try stage.succeed(.status, item) }
                            try stage.succeed(.remove, item)
                        }
                    } catch {
                        first.withLock { $0 = $0 ?? error }
                    }
                }
                if let error = first.withLock({ $0 }) { throw error }
            }
        },
    ]
}
