import XCTest

@testable import EdgeEffNetCore

final class ArtifactTests: XCTestCase {
    private var url = URL(fileURLWithPath: NSTemporaryDirectory())

    override func setUpWithError() throws {
        url = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: url)
    }

    /// An artifact whose golden image is the landscape of the shared vectors.
    private func artifact(dtype: String = "float32") throws -> Artifact {
        let golden = try Golden.cases()[0]
        let shape = dtype == "float32" ? [1, 3, 40, 40] : [1, 40, 40, 3]
        let preprocess = golden.preprocess
        let manifest: [String: Any] = [
            "schema": 1, "variant": "b0", "backend": "xnnpack", "created": "2026-01-02", "files": [String: Any](),
            "versions": ["executorch": "1.4.1", "python": "3.11"],
            "preprocess": [
                "crop": preprocess.crop, "resize": preprocess.resize, "interpolation": "bicubic",
                "mean": preprocess.mean, "std": preprocess.std,
            ] as [String: Any],
            "input": ["shape": shape, "dtype": dtype, "layout": dtype == "float32" ? "NCHW" : "NHWC"] as [String: Any],
            "output": ["shape": [1, 2], "dtype": "float32", "layout": "NC"] as [String: Any],
            "golden_photographs": [
                ["photograph": "g.png", "pixels": "g.u8", "input": "g.f32", "output": "g.logits"]
            ],
        ]
        try JSONSerialization.data(withJSONObject: manifest).write(to: url.appendingPathComponent("manifest.json"))
        try Data("cat\ndog\n".utf8).write(to: url.appendingPathComponent("labels.txt"))
        try Golden.data("preprocess/\(golden.pixels)").write(to: url.appendingPathComponent("g.u8"))
        try Golden.data("preprocess/\(golden.input)").write(to: url.appendingPathComponent("g.f32"))
        let tensor = Logits.values(try Golden.data("preprocess/\(golden.input)")) ?? []
        try Logits.bytes([tensor[0], tensor.reduce(0, +)]).write(to: url.appendingPathComponent("g.logits"))
        return try Artifact(url)
    }

    private func check(_ artifact: Artifact, _ image: RGBImage) throws -> GoldenCheck {
        let golden = try XCTUnwrap(artifact.manifest.goldenImages?.first)
        return try artifact.check(golden, decoded: image, on: FakeRuntime())
    }

    func testAnArtifactThatIsItselfPasses() throws {
        let outcome = try check(artifact(), Golden.cases()[0].decodedImage())
        XCTAssertTrue(outcome.passed)
        XCTAssertEqual(outcome.sentence, "Pixels, tensor and logits are equal to the bit.")
    }

    func testADecoderThatTurnsTheImageFails() throws {
        let outcome = try check(artifact(), Golden.cases()[0].decodedImage().upright(from: .mirrored))
        XCTAssertFalse(outcome.passed)
        XCTAssertGreaterThan(outcome.wrongPixels, 1000)
        XCTAssertTrue(outcome.sentence.contains("decoding"), outcome.sentence)
    }

    func testOtherLogitsFail() throws {
        let artifact = try artifact()
        try Logits.bytes([100, -100]).write(to: url.appendingPathComponent("g.logits"))
        let outcome = try check(artifact, Golden.cases()[0].decodedImage())
        XCTAssertFalse(outcome.passed)
        XCTAssertTrue(outcome.sentence.contains("Logits are wrong"), outcome.sentence)
    }

    func testAProgramThatNormalisesItselfGetsPixels() throws {
        let artifact = try artifact(dtype: "uint8")
        let input = try artifact.input(of: Golden.cases()[0].decodedImage())
        XCTAssertEqual(input.dtype, .uint8)
        XCTAssertEqual(input.shape, [1, 40, 40, 3])
        XCTAssertEqual(input.bytes, try Golden.data("preprocess/landscape.u8"))
        try input.bytes.write(to: url.appendingPathComponent("g.f32"))
        XCTAssertEqual(try check(artifact, Golden.cases()[0].decodedImage()).wrongInputBytes, 0)
    }

    func testAnAppWithoutAModelSaysWhatToDo() {
        XCTAssertThrowsError(try Artifact(url)) {
            XCTAssertTrue($0.localizedDescription.contains("edge-effnet deploy"))
        }
    }

    func testLabelsThatDoNotFitAreRefused() throws {
        _ = try artifact()
        try Data("cat\n".utf8).write(to: url.appendingPathComponent("labels.txt"))
        XCTAssertThrowsError(try Artifact(url)) {
            XCTAssertTrue($0.localizedDescription.contains("1 names for 2 classes"))
        }
    }
}
