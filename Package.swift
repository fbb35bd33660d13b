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

func product(_ name: String, _ package: String) -> Target.Dependency {
    .product(name: name, package: package)
}

func library(_ name: String, _ dependencies: [Target.Dependency], path: String? = nil) -> Target {
    .target(name: name, dependencies: dependencies, path: path, swiftSettings: settings)
}

/// Code that several test targets share, in a folder of Tests.
func testSupport(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: testSettings)
}

func tests(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []
) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, exclude: exclude, swiftSettings: testSettings)
}

let argumentParser = product("ArgumentParser", "swift-argument-parser")
let logging = product("Logging", "swift-log")
let metrics = product("CoreMetrics", "swift-metrics")
let metricsTestKit = product("MetricsTestKit", "swift-metrics")
let serviceLifecycle = product("ServiceLifecycle", "swift-service-lifecycle")
let unixSignals = product("UnixSignals", "swift-service-lifecycle")
let histogram = product("Histogram", "hdrhistogram-swift")
let crypto = product("Crypto", "swift-crypto")
let httpClient = product("AsyncHTTPClient", "async-http-client")
let nio = product("NIOCore", "swift-nio")
let nioPosix = product("NIOPosix", "swift-nio")
let nioHTTP = product("NIOHTTP1", "swift-nio")
let nioSSL = product("NIOSSL", "swift-nio-ssl")
let configuration = product("Configuration", "swift-configuration")
let mustache = product("Mustache", "swift-mustache")
let systemPackage = product("SystemPackage", "swift-system")

// From the git tag where the build sets it (tools/package); otherwise the next version.
let programVersion = Context.environment["BOOTSTORM_VERSION"] ?? "0.1.0"

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
        .library(name: "FuzzTargets", targets: ["FuzzTargets"]),
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
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        // Level 0
        library("TFTPWire", []),
        .target(name: "CUring", linkerSettings: [.linkedLibrary("uring")]),
        // The resolver's own functions (SRV) are in a library of their own before glibc 2.34.
        .target(name: "CLinux", linkerSettings: [.linkedLibrary("resolv")]),
        .target(
            name: "CVersion",
            cSettings: [.define("BOOTSTORM_VERSION", to: "\"\(programVersion)\"")]),
        .target(name: "CYAML", linkerSettings: [.linkedLibrary("yaml")]),
        // libseccomp makes the filter of system calls for each kind of machine.
        .target(name: "CSandbox", linkerSettings: [.linkedLibrary("seccomp")]),
        // Level 1
        library("Sandbox", ["CSandbox"]),
        library("TFTPCore", ["TFTPWire"]),
        library("Uring", ["CUring", systemPackage]),
        library("TFTPMetrics", []),
        library("TFTPSeal", ["TFTPWire", crypto]),
        // Level 2
        library("TFTPStore", ["TFTPWire", "TFTPCore", systemPackage]),
        library("Files", ["CLinux", "TFTPStore", systemPackage]),
        library("TFTPNames", ["TFTPWire", "TFTPCore", "TFTPStore", "CLinux"]),
        library("TFTPFetch", ["TFTPStore", crypto]),
        library(
            "TFTPServing",
            ["TFTPWire", "TFTPCore", "TFTPMetrics", "TFTPSeal", "TFTPStore", systemPackage]),
        // Level 3
        library(
            "TFTPReactor",
            [
                "TFTPWire", "TFTPCore", "TFTPMetrics", "TFTPSeal", "TFTPStore", "TFTPServing",
                "TFTPNames", "Files", "Uring", "CLinux", systemPackage,
            ]),
        // Level 4
        library(
            "TFTPServer",
            [
                "TFTPReactor", "TFTPServing", "TFTPNames", "TFTPStore", "TFTPCore", "TFTPMetrics",
                "TFTPSeal", "TFTPWire", "Files", "CLinux", logging, metrics, serviceLifecycle,
                systemPackage,
            ]),
        library(
            "TFTPClient",
            [
                "TFTPReactor", "TFTPServing", "TFTPCore", "TFTPSeal", "TFTPWire", "CLinux", crypto,
                systemPackage,
            ]),
        // Level 5
        library(
            "TFTPLoad",
            ["TFTPReactor", "TFTPSeal", "TFTPCore", "TFTPWire", histogram, systemPackage]),
        library(
            "TFTPPeer",
            [
                "TFTPServer", "TFTPClient", "TFTPReactor", "TFTPServing", "TFTPFetch", "TFTPStore",
                "TFTPSeal", "TFTPCore", "TFTPWire", "Files", "CLinux", crypto, httpClient, logging,
                nio, nioHTTP, nioPosix, nioSSL, systemPackage,
            ]),
        // Metrics and health over HTTP; the libraries work without it.
        library("TFTPMonitor", ["TFTPServer", "TFTPMetrics", nio, nioHTTP, nioPosix]),
        library("TFTPFleet", [httpClient, logging, nio, nioHTTP, nioPosix, nioSSL]),
        // What Benchmarks/, a package of its own, measures
        library(
            "BenchmarkWorkloads", ["TFTPReactor", "CLinux", "TFTPStore", "TFTPCore", "TFTPWire"],
            path: "Benchmarks/Workloads"),
        // What Fuzz/, a package of its own, tries
        library(
            "FuzzTargets", ["TFTPNames", "TFTPSeal", "TFTPStore", "TFTPWire"],
            path: "Fuzz/Targets"),
        // Level 6
        .executableTarget(
            name: "bootstorm",
            dependencies: [
                "TFTPServer", "TFTPClient", "TFTPLoad", "TFTPPeer", "TFTPFleet", "TFTPMonitor",
                "TFTPReactor", "TFTPServing", "TFTPNames", "TFTPSeal", "TFTPCore", "TFTPMetrics",
                "TFTPWire", "CLinux", "CVersion", "CYAML", "Sandbox", argumentParser,
                configuration, crypto, histogram, logging, mustache, systemPackage, unixSignals,
            ],
            swiftSettings: settings),
        // Tests, in the same order
        testSupport("WireSupport", ["TFTPWire"]),
        tests("TFTPWireTests", ["TFTPWire", "WireSupport"]),
        tests("TFTPCoreTests", ["TFTPServing", "TFTPCore", "TFTPWire", "Simulation"]),
        tests("TFTPStoreTests", ["TFTPStore", "Simulation"]),
        tests("TFTPNamesTests", ["TFTPNames", "TFTPStore", "TFTPCore", "TFTPWire", "Simulation"]),
        tests("TFTPFetchTests", ["TFTPFetch", "Simulation"]),
        tests(
            "TFTPServingTests",
            [
                "TFTPNames", "TFTPServing", "TFTPStore", "TFTPMetrics", "TFTPCore", "TFTPWire",
                systemPackage,
            ]),
        tests("TFTPSealTests", ["TFTPSeal", "TFTPWire"]),
        tests("TFTPMetricsTests", ["TFTPMetrics"]),
        tests("UringTests", ["Uring"]),
        testSupport(
            "Simulation", ["TFTPServing", "TFTPStore", "TFTPMetrics", "TFTPCore", "TFTPWire"]),
        testSupport("Loopback", ["TFTPClient", "TFTPReactor", "TFTPCore"]),
        .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
        tests(
            "TFTPServerTests",
            [
                "TFTPServer", "TFTPReactor", "TFTPNames", "TFTPCore", "TFTPWire", "TFTPMetrics",
                "CAllocationCounter", logging, metrics, metricsTestKit,
            ]),
        tests("TFTPReactorTests", ["TFTPReactor", "TFTPCore", "CLinux"]),
        tests(
            "TFTPClientTests",
            ["TFTPClient", "TFTPServer", "TFTPMetrics", "Loopback", logging, systemPackage]),
        tests(
            "TFTPLoadTests",
            [
                "TFTPLoad", "TFTPSeal", "TFTPCore", "TFTPWire", "TFTPServer", "Loopback",
                "WireSupport", logging,
            ]),
        tests(
            "TFTPPeerTests",
            [
                "TFTPPeer", "TFTPFetch", "TFTPServer", "TFTPClient", "TFTPReactor", "TFTPMetrics",
                "TFTPCore", "Simulation", "Loopback", logging,
            ]),
        .target(name: "CWallProbe", path: "Tests/CWallProbe"),
        .executableTarget(
            name: "SandboxProbe", dependencies: ["Sandbox", "Uring", "CWallProbe"],
            path: "Tests/SandboxProbe",
            swiftSettings: testSettings),
        tests("SandboxTests", ["Sandbox", "SandboxProbe"]),
        tests("TFTPMonitorTests", ["TFTPMonitor", "TFTPServer", "TFTPMetrics", logging]),
        tests("TFTPFleetTests", ["TFTPFleet", logging]),
        tests("CommandTests", ["bootstorm", "TFTPClient", "TFTPServer", argumentParser, logging]),
        tests("FuzzTests", ["FuzzTargets", "TFTPPeer", "TFTPFetch", "bootstorm", nioHTTP]),
        tests(
            "InteropTests",
            ["TFTPServer", "TFTPClient", "bootstorm", "Loopback", "TFTPCore", logging],
            exclude: ["fbtftp_server.py"]),
    ]
)
