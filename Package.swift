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
    // Overlapping accesses are looked for in every debug build, and so in every test; a tenth of
    // the instructions of a request were this look.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

/// The floors, from the ground up: a target names only targets above its own line.
let floors: [(name: String, imports: [String])] = [
    ("Bytes", []),
    ("Platform", ["CLinux"]),
    ("HTTP", ["Bytes"]),
    ("JSON", ["Bytes"]),
    ("YAML", ["Bytes", "CYAML"]),
    ("Digest", ["CLinux"]),
    ("Endpoints", ["Bytes", "CLinux", "Digest", "JSON", "YAML"]),
    ("EventLoop", ["Platform"]),
    ("Supervisor", ["Platform"]),
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
    (
        "Admin",
        [
            "Bytes", "Deployments", "Digest", "Endpoints", "EventLoop", "HTTP", "JSON", "Logging",
            "Platform", "PluginHost", "Serving", "Surfaces",
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

/// Relative relocations as bitmaps, which only lld of Swift's linkers writes: 15,000 of them take
/// 3 KB instead of 370, so the loader touches less: a Swift plugin is resident with half the pages.
let packed = ["-use-ld=lld", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs"]

targets += [
    .executableTarget(
        name: "switchyard",
        dependencies: [
            "Admin", "Bytes", "Deployments", "Endpoints", "EventLoop", "JSON", "Logging",
            "Platform", "PluginHost", "Serving", "Supervisor",
        ],
        exclude: ["switchyard.service"],
        swiftSettings: swiftSettings,
        // Only the used parts of Swift's runtime: two thirds of the memory.
        linkerSettings: [
            .unsafeFlags(
                ["-static-stdlib", "-Xlinker", "--no-export-dynamic"] + packed,
                .when(configuration: .release)
            )
        ]
    ),
    // What `make bench` measures with; the scripts beside it are run from where they lie.
    .executableTarget(
        name: "switchyard-bench",
        dependencies: [
            "Bytes", "Endpoints", "HTTP", "JSON", "Platform", "PluginHost", "Serving", "Surfaces",
        ],
        exclude: [
            "bench.py", "curves.py", "disturbances.py", "footprint.py", "hosts.py", "parse.py",
            "post.lua", "reloads.py", "RESULTS.md", "simdjson.cpp", "stages.py", "surfaces.py",
            "takeovers.py",
        ],
        swiftSettings: swiftSettings
    ),
]

/// What a plugin shows: two symbols.
let twoSymbols = ["-Xlinker", "--version-script=\(Context.packageDirectory)/Plugins/plugin.map"]

/// Models in Swift: each a plugin that carries its own Swift runtime and shows two symbols.
let swiftPlugins = [
    "pricing_model_v1": "Plugins/pricing_model_v1",
    "pricing_model_v2": "Plugins/pricing_model_v2",
    "tumor_classifier_v2": "Plugins/tumor_classifier/v2",
    "fraud_detection_v2": "Plugins/fraud_detection/v2",
    "matrix_vector": "Plugins/matrix_vector",
    "codable_model": "Tests/Fixtures/codable_model",
    "codable_pricing": "Tests/Fixtures/codable_pricing",
    "reading_model": "Tests/Fixtures/reading_model",
    "resource_model": "Tests/Fixtures/resource_model",
    "trapping_model": "Tests/Fixtures/trapping_model",
]
targets += swiftPlugins.map { name, path in
    .target(
        name: name,
        dependencies: ["JSON", "ModelPlugin"],
        path: path,
        swiftSettings: swiftSettings,
        linkerSettings: [
            .unsafeFlags(["-static-stdlib", "-Xlinker", "-s"] + packed + twoSymbols)
        ]
    )
}

/// The linker is called through Swift's driver; told so, it leaves Swift's runtime out, and the
/// start-up code that would tell the host's runtime of a library that has no Swift in it.
let withoutSwift = ["-static-stdlib", "-nostartfiles"]

targets.append(
    .executableTarget(
        name: "switchyard-limit",
        cSettings: [.unsafeFlags(["-O2"])],
        linkerSettings: [.unsafeFlags(withoutSwift)]
    )
)

/// Models in C and C++: the samples, which show two symbols and nothing else.
let cSamples = [
    "echo": "Plugins/echo",
    "fraud_detection_v1": "Plugins/fraud_detection/v1",
    "tumor_classifier_v1": "Plugins/tumor_classifier/v1",
]
targets += cSamples.map { name, path in
    .target(
        name: name,
        dependencies: ["CModelABI"],
        path: path,
        publicHeadersPath: ".",
        cSettings: [.unsafeFlags(["-fvisibility=hidden"])],
        linkerSettings: [
            .linkedLibrary("m"),
            .unsafeFlags(withoutSwift + twoSymbols),
        ]
    )
}

/// Plugins in C for the tests: one that is right, and those that each do one thing wrong.
let cPlugins = [
    "batch_model": "Tests/Fixtures/batch_model",
    "faulty_model": "Tests/Fixtures/faulty_model",
    "life_model": "Tests/Fixtures/life_model",
    "slow_model": "Tests/Fixtures/slow_model",
    "thirty_lines": "Tests/Fixtures/thirty_lines",
    "misfit_no_tag": "Tests/Misfits/no_tag",
    "misfit_newer_major": "Tests/Misfits/newer_major",
    "misfit_truncated_table": "Tests/Misfits/truncated_table",
    "misfit_null_function": "Tests/Misfits/null_function",
    "misfit_crash_in_constructor": "Tests/Misfits/crash_in_constructor",
    "misfit_exit_in_constructor": "Tests/Misfits/exit_in_constructor",
    "misfit_crash_in_create": "Tests/Misfits/crash_in_create",
    "misfit_exit_in_create": "Tests/Misfits/exit_in_create",
    "misfit_crash_in_example": "Tests/Misfits/crash_in_example",
    "misfit_wrong_example": "Tests/Misfits/wrong_example",
    "misfit_serial": "Tests/Misfits/serial",
    "misfit_prints_done": "Tests/Misfits/prints_done",
    "misfit_hang_in_create": "Tests/Misfits/hang_in_create",
    "misfit_results": "Tests/Misfits/results",
]
targets += cPlugins.map { name, path in
    .target(
        name: name,
        dependencies: ["CModelABI"],
        path: path,
        publicHeadersPath: ".",
        linkerSettings: [.unsafeFlags(withoutSwift)]
    )
}

/// Test targets, and what each imports beside the test support.
let tests: [(name: String, imports: [Target.Dependency])] = [
    ("BytesTests", ["Bytes"]),
    ("PlatformTests", ["Platform"]),
    ("HTTPTests", ["HTTP"]),
    ("JSONTests", ["Bytes", "JSON"]),
    ("YAMLTests", ["YAML"]),
    ("DigestTests", ["Digest"]),
    ("EndpointsTests", ["Digest", "Endpoints", "JSON", "YAML"]),
    ("EventLoopTests", ["EventLoop", "Platform"]),
    ("PluginHostTests", ["Bytes", "JSON", "Platform", "PluginHost"]),
    ("SampleTests", ["Bytes", "Endpoints", "JSON", "Platform", "PluginHost"]),
    ("SurfacesTests", ["Bytes", "Endpoints", "HTTP", "JSON", "Surfaces"]),
    (
        "DeploymentsTests",
        ["Deployments", "Endpoints", "Logging", "Platform", "PluginHost", "YAML"]
    ),
    (
        "ServingTests",
        [
            "Deployments", "Endpoints", "EventLoop", "JSON", "Logging", "Platform", "PluginHost",
            "Serving",
            "Surfaces",
        ]
    ),
    (
        "AdminTests",
        [
            "Admin", "Deployments", "HTTP", "JSON", "Logging", "Platform", "PluginHost", "Serving",
        ]
    ),
    ("ProgramTests", ["Digest", "Endpoints", "JSON", "Platform"]),
    ("TidyTests", ["Platform"]),
]
targets.append(.target(name: "CAllocationCount", path: "Tests/CAllocationCount"))
targets.append(
    .target(
        name: "TestSupport",
        dependencies: ["Bytes", "CAllocationCount", "JSON", "Platform"],
        path: "Tests/TestSupport",
        swiftSettings: swiftSettings
    )
)
targets += tests.map { test in
    .testTarget(
        name: test.name,
        dependencies: test.imports + ["TestSupport"],
        swiftSettings: swiftSettings
    )
}

/// Fuzzers, and what each imports: programs that libFuzzer brings the beginning of, so only
/// `make fuzz` sees them.
let fuzzers: [(name: String, imports: [Target.Dependency])] = [
    ("http", ["HTTP"]),
    ("json", ["Bytes", "Endpoints", "JSON"]),
    ("tensors", ["Bytes", "Endpoints", "JSON", "Surfaces"]),
    ("surfaces", ["Bytes", "Endpoints", "JSON", "Surfaces"]),
    ("endpoint", ["Endpoints", "JSON", "YAML"]),
    ("manifest", ["Deployments", "YAML"]),
    ("elf", ["PluginHost"]),
    ("log_ring", ["Logging", "Platform", "Serving"]),
]
if Context.environment["SWITCHYARD_FUZZ"] == "1" {
    targets.append(
        .target(name: "FuzzSupport", path: "Tests/Fuzz/support", swiftSettings: swiftSettings)
    )
    targets += fuzzers.map { fuzzer in
        .executableTarget(
            name: "fuzz_\(fuzzer.name)",
            dependencies: fuzzer.imports + ["FuzzSupport"],
            path: "Tests/Fuzz/\(fuzzer.name)",
            swiftSettings: swiftSettings
        )
    }
}

let plugins = [swiftPlugins, cSamples, cPlugins].flatMap { $0.keys.sorted() }
let package = Package(
    name: "switchyard",
    products: plugins.map { .library(name: $0, type: .dynamic, targets: [$0]) }
        + [.executable(name: "switchyard", targets: ["switchyard"])],
    targets: targets,
    cxxLanguageStandard: .cxx17
)
