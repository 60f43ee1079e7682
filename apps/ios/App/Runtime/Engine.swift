import Dispatch
import EdgeEffNetCore
import EdgeEffNetPhotos
import Foundation

/// Everything that runs a program, one after the other: ExecuTorch is not thread-safe, and a photo classified in
/// the middle of a benchmark would spoil its times.
actor Engine {
    /// Runs block for minutes: on a thread of their own, not on one that all tasks share.
    private let queue = DispatchSerialQueue(label: "engine", qos: .userInitiated)
    nonisolated var unownedExecutor: UnownedSerialExecutor { queue.asUnownedSerialExecutor() }

    private let runtime = ExecuTorchRuntime()
    /// The app's own artifact while its program is the loaded one.
    private var loaded: Artifact?

    /// The performance cores of an iPhone.
    private static let threads = 2

    func classify(photo data: Data) throws -> Classification {
        let artifact = try load()
        let (image, decodeMs) = try timed { try PhotoDecoder.decode(data) }
        return try classify(image, by: artifact, decodeMs: decodeMs)
    }

    func classify(frame image: RGBImage) throws -> Classification {
        try classify(image, by: load(), decodeMs: nil)
    }

    func run(_ folder: JobFolder, report: @escaping @Sendable (RunProgress) -> Void) throws -> URL {
        loaded = nil
        return try JobRunner(
            folder: folder, runtime: runtime, monitor: .thisDevice, digest: FileDigest.sha256, report: report
        ).run()
    }

    /// - Returns: one check for each of the artifact's golden images.
    func selfTest() throws -> [GoldenCheck] {
        let artifact = try load()
        guard try FileDigest.sha256(of: artifact.program) == artifact.manifest.files["model.pte"]?.sha256 else {
            throw InputError("model.pte is not the manifest's; deploy the artifact again.")
        }
        guard let images = artifact.manifest.goldenImages, !images.isEmpty else {
            throw InputError("The artifact has no golden images; quantize and deploy it again.")
        }
        return try images.map { golden in
            let image = try PhotoDecoder.decode(artifact.file(golden.image), name: golden.image)
            return try artifact.check(golden, decoded: image, on: runtime)
        }
    }

    private func load() throws -> Artifact {
        if let loaded { return loaded }
        let resources = Bundle.main.resourceURL ?? Bundle.main.bundleURL
        let artifact = try Artifact(resources.appendingPathComponent("Model/artifact"))
        let manifest = artifact.manifest
        try runtime.requireSupport(executorch: manifest.versions.executorch, backend: manifest.backend)
        _ = try runtime.load(artifact.program, threads: Self.threads)
        loaded = artifact
        return artifact
    }

    private func classify(_ image: RGBImage, by artifact: Artifact, decodeMs: Double?) throws -> Classification {
        let (input, preprocessMs) = try timed { try runtime.prepare(artifact.input(of: image)) }
        let (numbers, forwardMs) = try timed { try runtime.forward(input) }
        let probabilities = artifact.manifest.output.probabilities(of: numbers)
        let candidates = Logits.top(5, among: probabilities).map {
            Classification.Candidate(label: artifact.labels[$0.index], probability: $0.probability)
        }
        return Classification(
            candidates: candidates, decodeMs: decodeMs, preprocessMs: preprocessMs, forwardMs: forwardMs)
    }

    private func timed<Value>(_ body: () throws -> Value) rethrows -> (Value, milliseconds: Double) {
        let start = DeviceMonitor.uptimeMilliseconds()
        let value = try body()
        return (value, DeviceMonitor.uptimeMilliseconds() - start)
    }
}
