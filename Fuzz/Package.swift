// swift-tools-version: 6.2
import PackageDescription

// A package of its own: `tools/dev fuzz` builds it with libFuzzer's counters in all code. What is
// fuzzed is in Targets, a target of the package above: names that are `package` end at a package's
// edge.
let package = Package(
    name: "Fuzz",
    dependencies: [.package(name: "bootstorm", path: "..")],
    targets: [
        .executableTarget(
            name: "BootstormFuzz",
            dependencies: [.product(name: "FuzzTargets", package: "bootstorm")],
            path: "Run", swiftSettings: [.swiftLanguageMode(.v6)])
    ]
)
