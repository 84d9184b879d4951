// swift-tools-version: 6.2
// Switchyard: no package is depended on, here or anywhere.
import PackageDescription

/// What every Swift target is compiled with.
let swiftSettings: [SwiftSetting] = [
    .strictMemorySafety(),  // every use of unsafe memory has to say so
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),  // dynamic dispatch has to say so
    .enableUpcomingFeature("InternalImportsByDefault"),  // an import that leaks has to say so
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// The floors, from the ground up: a target names only targets above its own line.
let floors: [(name: String, imports: [String])] = [
    ("Bytes", []),
    ("Platform", ["CLinux"]),
    ("HTTP", ["Bytes"]),
    ("JSON", ["Bytes"]),
    ("YAML", ["CYAML"]),
    ("Digest", []),
    ("Endpoints", ["Bytes", "CLinux", "Digest", "JSON", "YAML"]),
    ("EventLoop", ["Platform"]),
    ("PluginHost", ["Bytes", "CModelABI", "JSON", "Platform"]),
    ("Logging", ["Bytes", "JSON", "Platform"]),
    ("Surfaces", ["Bytes", "Endpoints", "HTTP", "JSON"]),
    (
        "Deployments",
        ["Bytes", "Digest", "Endpoints", "JSON", "Logging", "Platform", "PluginHost", "YAML"]
    ),
    (
        "Serving",
        [
            "Bytes", "Deployments", "Digest", "Endpoints", "EventLoop", "HTTP", "JSON", "Logging",
            "Platform", "PluginHost", "Surfaces",
        ]
    ),
    ("ModelPlugin", ["Bytes", "CModelABI", "CModelTag", "JSON"]),
]

var targets: [Target] = [
    .target(name: "CLinux"),
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .target(name: "CModelABI"),
    .target(name: "CModelTag", dependencies: ["CModelABI"]),
]
targets += floors.map { floor in
    .target(
        name: floor.name,
        dependencies: floor.imports.map { .init(stringLiteral: $0) },
        swiftSettings: swiftSettings
    )
}

targets += [
    .executableTarget(
        name: "switchyard",
        dependencies: [
            "Bytes", "Deployments", "EventLoop", "JSON", "Logging", "Platform", "PluginHost",
            "Serving",
        ],
        swiftSettings: swiftSettings
    )
]

/// The sample models: each a plugin that carries its own Swift runtime and shows two symbols.
let samples = ["pricing_model_v1", "pricing_model_v2"]
targets += samples.map { name in
    .target(
        name: name,
        dependencies: ["ModelPlugin"],
        path: "Plugins/\(name)",
        swiftSettings: swiftSettings,
        linkerSettings: [
            .unsafeFlags([
                "-static-stdlib", "-Xlinker", "-s",
                "-Xlinker", "--version-script=\(Context.packageDirectory)/Plugins/plugin.map",
            ])
        ]
    )
}

let package = Package(
    name: "switchyard",
    products: samples.map { .library(name: $0, type: .dynamic, targets: [$0]) }
        + [.executable(name: "switchyard", targets: ["switchyard"])],
    targets: targets
)
