import Foundation

/// What a runner is doing.
public enum RunProgress: Equatable, Sendable {
    case verifying
    case loading
    case images(done: Int, of: Int)
    case timing(done: Int, of: Int)
    /// The device throttles: waiting until it has cooled down.
    case cooling
}

/// Runs a job: the six steps of docs/device.md.
///
/// It blocks the thread that it is called on; the task that it runs in can be cancelled, and a cancelled or crashed run
/// goes on where it stopped.
public struct JobRunner<Runtime: ProgramRuntime> {
    let folder: JobFolder
    let runtime: Runtime
    let monitor: DeviceMonitor
    let digest: JobFolder.Digest
    let report: (RunProgress) -> Void

    /// One pause of a device that throttles, s.
    static var pause: TimeInterval { 10 }

    public init(
        folder: JobFolder, runtime: Runtime, monitor: DeviceMonitor, digest: @escaping JobFolder.Digest,
        report: @escaping (RunProgress) -> Void = { _ in }
    ) {
        (self.folder, self.runtime, self.monitor) = (folder, runtime, monitor)
        (self.digest, self.report) = (digest, report)
    }

    /// - Returns: the results file.
    /// - Throws: `InputError` if the job cannot run here; whatever the runtime throws; `CancellationError`.
    public func run() throws -> URL {
        var done = 0
        do {
            report(.verifying)
            try folder.verify(digest: digest)
            try runtime.requireSupport(executorch: folder.job.program.executorch, backend: folder.job.program.backend)
            let (loadMs, threads) = try load()
            let images = try runImages(done: &done)
            let reruns = try folder.job.reruns.map { try runImage($0) }
            let (latency, thermal) = try time()
            let results = Results(
                schema: Results.knownSchema, created: Date().ISO8601Format(), job: folder.job.id,
                programSHA256: folder.job.program.sha256, complete: true, device: monitor.device,
                runtime: .init(version: runtime.version.description, threads: threads),
                images: images, reruns: reruns, loadMs: loadMs, latency: latency,
                peakMemoryBytes: monitor.peakMemoryBytes(), thermal: thermal)
            try results.validate()
            // Atomic: under another name first, then renamed.
            try results.encode().write(to: folder.results, options: .atomic)
            try write(.done, done: done)
            return folder.results
        } catch {
            let sentence =
                error is CancellationError ? "Stopped; started again, it goes on." : error.localizedDescription
            // The first error counts: where the disk is full, this cannot be written either.
            try? write(.failed, done: done, error: sentence)
            throw error
        }
    }

    private func load() throws -> (milliseconds: [Double], threads: Int) {
        report(.loading)
        var threads = 0
        let milliseconds = try (0..<folder.job.loads).map { _ in
            try Task.checkCancellation()
            return try pooled { try timed { threads = try runtime.load(folder.program, threads: folder.job.threads) } }
        }
        return (milliseconds, threads)
    }

    private func runImages(done: inout Int) throws -> [ImageResult] {
        let job = folder.job
        var partial = try PartialResults(resuming: job, at: folder.partial)
        defer { try? partial.close() }
        done = partial.done.count
        while done < job.images.count {
            try write(.running, done: done)
            report(.images(done: done, of: job.images.count))
            try partial.append(runImage(done))
            done = partial.done.count
        }
        return partial.done
    }

    private func runImage(_ index: Int) throws -> ImageResult {
        let job = folder.job
        try Task.checkCancellation()
        let logits = try pooled { try runtime.forward(runtime.prepare(folder.input(at: index))) }
        guard logits.count == job.output.shape[1] else {
            throw InputError("The program gave \(logits.count) logits; job.json says \(job.output.shape[1]).")
        }
        return ImageResult(of: job.images[index], logits: logits)
    }

    private func time() throws -> (Results.Latency, Results.Thermal) {
        let job = folder.job
        let input = try runtime.prepare(folder.input(at: 0))
        var pauses = try coolDown()
        for _ in 0..<job.warmup { _ = try pooled { try runtime.forward(input) } }
        let times = try (0..<job.repeats).map { index in
            try Task.checkCancellation()
            pauses += try coolDown()
            report(.timing(done: index, of: job.repeats))
            return try pooled { try timed { _ = try runtime.forward(input) } }
        }
        // iOS tells no temperature, only this word.
        let thermal = Results.Thermal(beforeC: nil, afterC: nil, status: monitor.thermalState().rawValue)
        return (Results.Latency(warmup: job.warmup, timesMs: times, pauses: pauses), thermal)
    }

    /// - Returns: the pauses that it took.
    private func coolDown() throws -> Int {
        var pauses = 0
        while monitor.thermalState().throttles {
            report(.cooling)
            monitor.sleep(Self.pause)
            pauses += 1
            try Task.checkCancellation()
        }
        return pauses
    }

    private func timed(_ body: () throws -> Void) rethrows -> Double {
        let start = monitor.milliseconds()
        try body()
        return monitor.milliseconds() - start
    }

    private func write(_ state: RunStatus.State, done: Int, error: String? = nil) throws {
        try RunStatus(state: state, done: done, of: folder.job.images.count, error: error).write(to: folder.status)
    }
}
