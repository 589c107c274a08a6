// swift-tools-version: 6.3
import PackageDescription

// ProviderSDK by itself, for authors who have a checkout: a package that depends on the one above would check out all
// of its dependencies, and ProviderSDK needs none. The targets are links to those above.
let package = Package(
    name: "SDK",
    products: [.library(name: "ProviderSDK", type: .static, targets: ["JSONModel", "ProviderAPI", "ProviderKit"])],
    targets: [
        .target(name: "JSONModel"),
        .target(name: "ProviderAPI", exclude: ["schemas"]),
        .target(name: "ProviderKit", dependencies: ["JSONModel", "ProviderAPI"]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)
