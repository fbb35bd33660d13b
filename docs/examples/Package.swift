// swift-tools-version: 6.2
import PackageDescription

// The programs that the articles of the documentation explain. A package of its own, as yours would
// be: it knows Bootstorm by its public libraries alone.
let server = Target.Dependency.product(name: "TFTPServer", package: "bootstorm")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

let package = Package(
    name: "examples",
    dependencies: [
        .package(name: "bootstorm", path: "../.."),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .executableTarget(
            name: "ServeAFolder",
            dependencies: [
                server, logging,
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "ServeAFolder"),
        .executableTarget(name: "PerHostConfigs", dependencies: [server], path: "PerHostConfigs"),
        .executableTarget(name: "HTTPFront", dependencies: [server], path: "HTTPFront"),
        .executableTarget(name: "TrustedUploads", dependencies: [server], path: "TrustedUploads"),
        .executableTarget(
            name: "Tuning",
            dependencies: [server, logging, .product(name: "Metrics", package: "swift-metrics")],
            path: "Tuning"),
    ]
)
