// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that who builds or embeds Bootstorm does not fetch a benchmark library.
// What is measured is in Workloads, a target of the package above: names that are `package` end at
// a package's edge.
let package = Package(
    name: "Benchmarks",
    dependencies: [
        .package(name: "bootstorm", path: ".."),
        // Without its traits, which want a malloc of their own.
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
    ],
    targets: [
        .executableTarget(
            name: "Bootstorm",
            dependencies: [
                .product(name: "BenchmarkWorkloads", package: "bootstorm"),
                .product(name: "Benchmark", package: "benchmark"),
            ],
            path: "Bootstorm",
            swiftSettings: [.swiftLanguageMode(.v6)],
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")])
    ]
)
