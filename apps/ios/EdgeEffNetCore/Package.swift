// swift-tools-version: 5.9
import PackageDescription

let package = Package(
    name: "EdgeEffNetCore",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [
        .library(name: "EdgeEffNetCore", targets: ["EdgeEffNetCore"]),
        .library(name: "EdgeEffNetPhotos", targets: ["EdgeEffNetPhotos"]),
    ],
    targets: [
        // Foundation alone: builds and is tested on Linux, too.
        .target(name: "EdgeEffNetCore"),
        // Apple's decoders: empty elsewhere.
        .target(name: "EdgeEffNetPhotos", dependencies: ["EdgeEffNetCore"]),
        .testTarget(name: "EdgeEffNetCoreTests", dependencies: ["EdgeEffNetCore", "EdgeEffNetPhotos"]),
    ]
)
