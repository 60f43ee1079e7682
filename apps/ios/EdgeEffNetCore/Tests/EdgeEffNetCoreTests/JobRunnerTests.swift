import XCTest

@testable import EdgeEffNetCore

final class JobRunnerTests: XCTestCase {
    private struct PowerCut: Error {}

    private var url = URL(fileURLWithPath: NSTemporaryDirectory())
    private var temperatures: [ThermalState] = []
    private var now = 0.0

    override func setUpWithError() throws {
        url = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent(UUID().uuidString)
        try SampleJob().write(to: url)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: url)
    }

    private var monitor: DeviceMonitor {
        DeviceMonitor(
            device: .init(name: "iPhone15,2", os: "iOS 17.5", soc: "A16", abi: "arm64", emulated: false),
            thermalState: { self.temperatures.isEmpty ? .nominal : self.temperatures.removeFirst() },
            peakMemoryBytes: { 1024 },
            milliseconds: {
                self.now += 0.5
                return self.now
            },
            sleep: { _ in })
    }

    private func run(_ runtime: FakeRuntime, report: @escaping (RunProgress) -> Void = { _ in }) throws -> Results {
        let runner = JobRunner(
            folder: try JobFolder(url), runtime: runtime, monitor: monitor, digest: SampleJob.fileDigest,
            report: report)
        return try Results.decode(Data(contentsOf: runner.run()))
    }

    private func status() throws -> RunStatus {
        try JSONDecoder().decode(RunStatus.self, from: Data(contentsOf: url.appendingPathComponent("status.json")))
    }

    func testAJobBecomesAResultsFile() throws {
        let runtime = FakeRuntime()
        let results = try run(runtime)
        XCTAssertTrue(results.complete)
        XCTAssertEqual(results.job, "0123456789abcdef")
        XCTAssertEqual(results.images.map(\.image), SampleJob().job.images)
        XCTAssertEqual(try results.images.map { try $0.values()[0] * 255 }, [2, 2, 1])
        XCTAssertEqual(results.loadMs, [0.5, 0.5, 0.5])
        XCTAssertEqual(results.latency, .init(warmup: 1, timesMs: [0.5, 0.5, 0.5, 0.5], pauses: 0))
        XCTAssertEqual(results.runtime, .init(version: "1.4.1", threads: 2))
        XCTAssertEqual(results.thermal?.status, "nominal")
        XCTAssertEqual(results.peakMemoryBytes, 1024)
        XCTAssertEqual([runtime.loads, runtime.forwards], [3, 3 + 1 + 4])
        XCTAssertEqual(try status(), RunStatus(state: .done, done: 3, of: 3, error: nil))
        if let copy = ProcessInfo.processInfo.environment["EDGE_EFFNET_RESULTS"] {
            try results.encode().write(to: URL(fileURLWithPath: copy))
        }
    }

    func testImagesRunAgainWhateverBitsTheyGet() throws {
        try SampleJob(reruns: [0, 2, 0, 2]).write(to: url)
        let runtime = FakeRuntime()
        runtime.noise = { $0 == 3 + 3 ? 1 : 0 }
        let results = try run(runtime)
        XCTAssertEqual(results.reruns.map(\.image), [0, 2, 0, 2].map { SampleJob().job.images[$0] })
        let first = results.images.map(\.logits)
        XCTAssertEqual(zip(results.reruns, [0, 2, 0, 2]).map { $0.logits == first[$1] }, [true, true, false, true])
        XCTAssertEqual(runtime.forwards, 3 + 4 + 1 + 4)
    }

    func testAnInterruptedRunGoesOnWhereItStopped() throws {
        let first = FakeRuntime()
        first.interrupt = { if $0 == 2 { throw PowerCut() } }
        XCTAssertThrowsError(try run(first))
        XCTAssertEqual(try status().state, .failed)
        XCTAssertEqual(try status().done, 2)
        let partial = url.appendingPathComponent("partial.jsonl")
        try (Data(contentsOf: partial) + Data(#"{"name": "val/3.jp"#.utf8)).write(to: partial)

        let second = FakeRuntime()
        let results = try run(second)
        XCTAssertEqual(results.images.map(\.image), SampleJob().job.images)
        XCTAssertEqual(second.forwards, 1 + 1 + 4)
        XCTAssertEqual(try Data(contentsOf: partial).split(separator: UInt8(ascii: "\n")).count, 3)
    }

    func testLinesOfAnotherJobAreCutOff() throws {
        let image = JobImage(name: "other.jpg", sha256: .init(repeating: "a", count: 64))
        let line = try StrictJSON.encode(ImageResult(of: image, logits: [1, 2])) + Data("\n".utf8)
        try line.write(to: url.appendingPathComponent("partial.jsonl"))
        let results = try run(FakeRuntime())
        XCTAssertEqual(results.images.map(\.image), SampleJob().job.images)
    }

    func testAHotDeviceIsGivenPauses() throws {
        // Asked before the warm-up and before each forward, and again after each pause.
        temperatures = [.nominal, .fair, .serious, .critical, .serious, .fair]
        var reports = 0
        let results = try run(FakeRuntime(), report: { reports += $0 == .cooling ? 1 : 0 })
        XCTAssertEqual([results.latency.pauses, reports], [3, 3])
    }

    func testAChangedFileIsNamed() throws {
        try Data("Program".utf8).write(to: url.appendingPathComponent("model.pte"))
        XCTAssertThrowsError(try run(FakeRuntime())) {
            XCTAssertTrue($0.localizedDescription.contains("model.pte is not the job's"))
        }
        try Data("prog".utf8).write(to: url.appendingPathComponent("model.pte"))
        XCTAssertThrowsError(try run(FakeRuntime())) {
            XCTAssertTrue($0.localizedDescription.contains("4 bytes instead of 7"))
        }
        try FileManager.default.removeItem(at: url.appendingPathComponent("pixels-0001.u8"))
        try FileManager.default.removeItem(at: url.appendingPathComponent("model.pte"))
        XCTAssertThrowsError(try run(FakeRuntime())) {
            XCTAssertTrue($0.localizedDescription.contains("model.pte is missing"))
        }
    }

    func testProgramsThatCannotRunHereAreRefusedBeforeTheyAreTried() throws {
        try SampleJob(executorch: "1.5.0").write(to: url)
        XCTAssertThrowsError(try run(FakeRuntime())) {
            XCTAssertTrue($0.localizedDescription.contains("ExecuTorch 1.5.0"))
        }
        try SampleJob(backend: "vulkan").write(to: url)
        let runtime = FakeRuntime()
        XCTAssertThrowsError(try run(runtime)) { XCTAssertTrue($0.localizedDescription.contains("coreml, xnnpack")) }
        XCTAssertEqual(runtime.loads, 0)
        XCTAssertEqual(try status().error?.contains("vulkan"), true)
    }

    func testAFolderWithoutAJobIsRefused() {
        XCTAssertThrowsError(try JobFolder(url.appendingPathComponent("nothing"))) {
            XCTAssertTrue($0.localizedDescription.contains("holds no job.json"))
        }
    }
}
