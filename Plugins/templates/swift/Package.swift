// swift-tools-version: 6.2
import PackageDescription

// The SDK lies beside the model (SDK/), so that this folder builds anywhere with Swift 6.3.
let sdk: [Target] = [
    .target(name: "Bytes", path: "SDK/Bytes"),
    .target(name: "CModelABI", path: "SDK/CModelABI"),
    .target(name: "CModelTag", dependencies: ["CModelABI"], path: "SDK/CModelTag"),
    .target(name: "JSON", dependencies: ["Bytes"], path: "SDK/JSON", swiftSettings: settings),
    .target(
        name: "ModelPlugin",
        dependencies: ["Bytes", "CModelABI", "CModelTag", "JSON"],
        path: "SDK/ModelPlugin",
        swiftSettings: settings
    ),
]
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "my_model",
    products: [.library(name: "my_model", type: .dynamic, targets: ["my_model"])],
    targets: sdk + [
        .target(
            name: "my_model",
            dependencies: ["ModelPlugin"],
            swiftSettings: settings,
            // The plugin carries its own Swift runtime and shows two symbols. lld packs its
            // relative relocations, which halves the memory that it takes.
            linkerSettings: [
                .unsafeFlags(
                    [
                        "-static-stdlib", "-Xlinker", "-s",
                        "-use-ld=lld", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
                        "-Xlinker", "--version-script=\(Context.packageDirectory)/plugin.map",
                    ],
                    .when(configuration: .release)  // a test links the model in another way
                )
            ]
        ),
        .testTarget(name: "my_modelTests", dependencies: ["my_model"]),
    ]
)
