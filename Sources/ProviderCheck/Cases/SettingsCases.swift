import FoundationEssentials
import ProviderAPI
import ProviderKit

/// Settings of an instance that has items in the world.
enum SettingsCases {
    static let all = [
        CheckCase(
            "refused-settings-change-nothing",
            "After reconfigure has refused settings, the instance answers about its items as before.",
            buildsOn: WorldCases.works + ["reconfigure-agrees-with-create"], needsItems: true, timeLimit: .seconds(300)
        ) { context in
            try context.eachStage { stage in
                guard let reconfigure = stage.instance.provider.reconfigure else { return }
                let before = try behaviour(stage)
                for settings in ConfigurationCases.garbage + ConfigurationVariants.of(context.settings.config) {
                    let text = String(decoding: settings, as: UTF8.self)
                    context.step("calling reconfigure with \(text)")
                    let (code, _) = try ConfigurationCases.apply(reconfigure, stage.instance, settings)
                    if code == egp_code(EGP_OK) {
                        _ = try ConfigurationCases.apply(reconfigure, stage.instance, context.configuration)
                        continue
                    }
                    let after = try behaviour(stage)
                    try require(after == before, "after it has refused \(text): \(after), not \(before)")
                }
            }
        }
    ]

    /// What ensure says of items that exist.
    private static func behaviour(_ stage: Stage) throws -> [ItemAnswer] {
        try stage.succeed(.ensure, stage.items)
    }
}
