import XCTest

@testable import EdgeEffNetCore

/// A job of three small images in two pixel files, and a folder with it.
struct SampleJob {
    static let side = 8
    var executorch = "1.4.1"
    var backend = "xnnpack"
    var reruns: [Int] = []

    private let pixelFiles = [2, 1].map { Data(repeating: UInt8($0), count: $0 * SampleJob.side * SampleJob.side * 3) }
    private let program = Data("program".utf8)

    var job: Job {
        let files = pixelFiles.enumerated().map { index, data in
            Job.File(file: "pixels-000\(index).u8", sha256: Self.digest(of: data), bytes: data.count)
        }
        return Job(
            schema: 1, id: "0123456789abcdef",
            program: .init(
                file: "model.pte", sha256: Self.digest(of: program), bytes: program.count, backend: backend,
                executorch: executorch),
            input: TensorSpec(shape: [1, 3, Self.side, Self.side], dtype: .float32, layout: .nchw),
            output: .init(shape: [1, 2]), normalize: Normalization(mean: [0, 0, 0], std: [1, 1, 1]),
            pixels: .init(side: Self.side, chunk: 2, files: files),
            images: (1...3).map {
                JobImage(name: "val/\($0).jpg", sha256: String(repeating: "\($0)", count: 64))
            },
            reruns: reruns, threads: 2, warmup: 1, repeats: 4, loads: 3)
    }

    /// Stands for SHA-256, which Foundation has not: any function of the content does for the logic.
    static func digest(of data: Data) -> String {
        let sum = data.reduce(UInt64(data.count)) { ($0 &* 31) &+ UInt64($1) }
        return String(repeating: "0", count: 48) + String(String(sum, radix: 16).leftPadded(to: 16).suffix(16))
    }

    static let fileDigest: JobFolder.Digest = { digest(of: try Data(contentsOf: $0)) }

    func write(to folder: URL) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try StrictJSON.encode(job).write(to: folder.appendingPathComponent("job.json"))
        try program.write(to: folder.appendingPathComponent("model.pte"))
        for (file, data) in zip(job.pixels.files, pixelFiles) {
            try data.write(to: folder.appendingPathComponent(file.file))
        }
    }
}

extension String {
    fileprivate func leftPadded(to count: Int) -> String {
        String(repeating: "0", count: max(0, count - self.count)) + self
    }
}

/// A program whose logits are the first value and the sum of its input.
final class FakeRuntime: ProgramRuntime {
    let version = ExecuTorchVersion.linked
    let backends: Set<String> = ["xnnpack", "coreml"]
    private(set) var loads = 0
    private(set) var forwards = 0
    /// Called before each forward with how many there were.
    var interrupt: (Int) throws -> Void = { _ in }
    /// Added to the first logit of a forward, counted from 1.
    var noise: (Int) -> Float = { _ in 0 }

    func load(_ program: URL, threads: Int) -> Int {
        loads += 1
        return threads
    }

    func prepare(_ input: ModelInput) -> [Float] {
        input.dtype == .uint8 ? input.bytes.map(Float.init) : Logits.values(input.bytes) ?? []
    }

    func forward(_ tensor: [Float]) throws -> [Float] {
        try interrupt(forwards)
        forwards += 1
        return [tensor[0] + noise(forwards), tensor.reduce(0, +)]
    }
}
