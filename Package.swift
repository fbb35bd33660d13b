// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
    .strictMemorySafety(),
]

let testSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableExperimentalFeature("Lifetimes"),
]

let argumentParser = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let metricsTestKit = Target.Dependency.product(
    name: "MetricsTestKit", package: "swift-metrics")
let serviceLifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(
    name: "UnixSignals", package: "swift-service-lifecycle")
let histogram = Target.Dependency.product(
    name: "Histogram", package: "hdrhistogram-swift")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let httpClient = Target.Dependency.product(
    name: "AsyncHTTPClient", package: "async-http-client")
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let configuration = Target.Dependency.product(
    name: "Configuration", package: "swift-configuration")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")

// The targets stand in level order: an import may only go up this list.
let package = Package(
    name: "bootstorm",
    products: [
        .executable(name: "bootstorm", targets: ["bootstorm"]),
        .library(name: "TFTPServer", targets: ["TFTPServer"]),
        .library(name: "TFTPClient", targets: ["TFTPClient"]),
        .library(name: "TFTPPeer", targets: ["TFTPPeer"]),
        // The keys that the others take.
        .library(name: "TFTPSeal", targets: ["TFTPSeal"]),
        .library(name: "BenchmarkWorkloads", targets: ["BenchmarkWorkloads"]),
    ],
    dependencies: [
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(
            url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        // Level 0
        .target(name: "TFTPWire", swiftSettings: settings),
        .target(name: "CUring", linkerSettings: [.linkedLibrary("uring")]),
        // The resolver's own functions (SRV) are in a library of their own before glibc 2.34.
        .target(name: "CLinux", linkerSettings: [.linkedLibrary("resolv")]),
        // libseccomp makes the filter of system calls for each kind of machine.
        .target(name: "CSandbox", linkerSettings: [.linkedLibrary("seccomp")]),
        // Level 1
        .target(name: "Sandbox", dependencies: ["CSandbox"], swiftSettings: settings),
        .target(name: "TFTPCore", dependencies: ["TFTPWire"], swiftSettings: settings),
        .target(name: "Uring", dependencies: ["CUring", systemPackage], swiftSettings: settings),
        .target(name: "TFTPMetrics", swiftSettings: settings),
        .target(name: "TFTPSeal", dependencies: ["TFTPWire", crypto], swiftSettings: settings),
        // Level 2
        .target(
            name: "TFTPStore", dependencies: ["TFTPWire", "TFTPCore", systemPackage],
            swiftSettings: settings),
        .target(
            name: "Files", dependencies: ["CLinux", "TFTPStore", systemPackage],
            swiftSettings: settings),
        .target(
            name: "TFTPNames", dependencies: ["TFTPWire", "TFTPCore", "TFTPStore", "CLinux"],
            swiftSettings: settings),
        .target(
            name: "TFTPFetch", dependencies: ["TFTPStore", crypto], swiftSettings: settings),
        .target(
            name: "TFTPServing",
            dependencies: ["TFTPWire", "TFTPCore", "TFTPMetrics", "TFTPSeal", "TFTPStore"],
            swiftSettings: settings),
        // Level 3
        .target(
            name: "TFTPReactor",
            dependencies: [
                "TFTPWire", "TFTPCore", "TFTPMetrics", "TFTPSeal", "TFTPStore", "TFTPServing",
                "TFTPNames", "Files", "Uring", "CLinux", systemPackage,
            ],
            swiftSettings: settings),
        // Level 4
        .target(
            name: "TFTPServer",
            dependencies: [
                "TFTPReactor", "TFTPServing", "TFTPNames", "TFTPStore", "TFTPCore", "TFTPMetrics",
                "TFTPSeal", "TFTPWire", "Files", "CLinux", logging, metrics, serviceLifecycle,
                systemPackage,
            ],
            swiftSettings: settings),
        .target(
            name: "TFTPClient",
            dependencies: [
                "TFTPReactor", "TFTPCore", "TFTPSeal", "TFTPWire", "CLinux", crypto, systemPackage,
            ],
            swiftSettings: settings),
        // Level 5
        .target(
            name: "TFTPLoad",
            dependencies: ["TFTPReactor", "TFTPCore", "TFTPWire", histogram, systemPackage],
            swiftSettings: settings),
        .target(
            name: "TFTPPeer",
            dependencies: [
                "TFTPServer", "TFTPClient", "TFTPReactor", "TFTPServing", "TFTPFetch", "TFTPStore",
                "TFTPSeal",
                "TFTPCore", "CLinux", crypto, httpClient, logging, nio, nioHTTP, nioPosix,
                nioSSL, systemPackage,
            ],
            swiftSettings: settings),
        .target(
            name: "TFTPFleet",
            dependencies: [httpClient, logging, nio, nioHTTP, nioPosix, nioSSL],
            swiftSettings: settings),
        // What Benchmarks/, a package of its own, measures
        .target(
            name: "BenchmarkWorkloads",
            dependencies: ["TFTPReactor", "CLinux", "TFTPStore", "TFTPCore", "TFTPWire"],
            path: "Benchmarks/Workloads", swiftSettings: settings),
        // Level 6
        .executableTarget(
            name: "bootstorm",
            dependencies: [
                "TFTPServer", "TFTPClient", "TFTPLoad", "TFTPPeer", "TFTPFleet", "TFTPReactor",
                "TFTPNames", "TFTPSeal", "TFTPCore", "TFTPMetrics", "TFTPWire", "CLinux", "Sandbox",
                argumentParser, configuration, crypto, histogram, logging, mustache, systemPackage,
                unixSignals, yams,
            ],
            swiftSettings: settings),
        // Tests, in the same order
        .testTarget(
            name: "TFTPWireTests", dependencies: ["TFTPWire"], swiftSettings: testSettings),
        .testTarget(
            name: "TFTPCoreTests",
            dependencies: ["TFTPServing", "TFTPCore", "TFTPWire", "Simulation"],
            swiftSettings: testSettings),
        .testTarget(
            name: "TFTPStoreTests", dependencies: ["TFTPStore", "Simulation"],
            swiftSettings: testSettings),
        .testTarget(
            name: "TFTPNamesTests",
            dependencies: ["TFTPNames", "TFTPStore", "TFTPCore", "TFTPWire", "Simulation"],
            swiftSettings: testSettings),
        .testTarget(
            name: "TFTPFetchTests", dependencies: ["TFTPFetch", "Simulation"],
            swiftSettings: testSettings),
        .testTarget(
            name: "TFTPServingTests",
            dependencies: ["TFTPReactor", "TFTPServing", "TFTPStore", "TFTPCore", "TFTPWire"],
            swiftSettings: testSettings),
        .testTarget(
            name: "TFTPSealTests", dependencies: ["TFTPSeal", "TFTPWire"],
            swiftSettings: testSettings),
        .testTarget(name: "UringTests", dependencies: ["Uring"], swiftSettings: testSettings),
        .target(
            name: "Simulation",
            dependencies: ["TFTPServing", "TFTPStore", "TFTPMetrics", "TFTPCore", "TFTPWire"],
            path: "Tests/Simulation", swiftSettings: testSettings),
        .target(
            name: "Loopback", dependencies: ["TFTPClient", "TFTPReactor", "TFTPCore"],
            path: "Tests/Loopback",
            swiftSettings: testSettings),
        .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
        .testTarget(
            name: "TFTPServerTests",
            dependencies: [
                "TFTPServer", "TFTPWire", "TFTPMetrics", "CAllocationCounter", logging, metrics,
                metricsTestKit,
            ],
            swiftSettings: testSettings),
        .testTarget(
            name: "TFTPReactorTests", dependencies: ["TFTPReactor", "TFTPCore"],
            swiftSettings: testSettings),
        .testTarget(
            name: "TFTPClientTests",
            dependencies: [
                "TFTPClient", "TFTPServer", "TFTPMetrics", "Loopback", logging, systemPackage,
            ],
            swiftSettings: testSettings),
        .testTarget(
            name: "TFTPLoadTests",
            dependencies: [
                "TFTPLoad", "TFTPCore", "TFTPWire", "TFTPServer", "Loopback", logging,
            ],
            swiftSettings: testSettings),
        .testTarget(
            name: "TFTPPeerTests",
            dependencies: [
                "TFTPPeer", "TFTPFetch", "TFTPServer", "TFTPClient", "TFTPReactor", "TFTPMetrics",
                "TFTPCore", "Simulation", "Loopback", logging,
            ],
            swiftSettings: testSettings),
        .target(name: "CWallProbe", path: "Tests/CWallProbe"),
        .executableTarget(
            name: "SandboxProbe", dependencies: ["Sandbox", "CWallProbe"],
            path: "Tests/SandboxProbe",
            swiftSettings: testSettings),
        .testTarget(
            name: "SandboxTests", dependencies: ["Sandbox", "SandboxProbe"],
            swiftSettings: testSettings),
        .testTarget(
            name: "TFTPFleetTests", dependencies: ["TFTPFleet", logging],
            swiftSettings: testSettings),
        .testTarget(
            name: "CommandTests",
            dependencies: ["bootstorm", "TFTPClient", "TFTPServer", argumentParser],
            swiftSettings: testSettings),
        .testTarget(
            name: "InteropTests",
            dependencies: ["TFTPServer", "bootstorm", "Loopback", "TFTPCore"],
            exclude: ["fbtftp_server.py"], swiftSettings: testSettings),
    ]
)
