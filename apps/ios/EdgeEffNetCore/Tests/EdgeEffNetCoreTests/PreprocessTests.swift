import XCTest

@testable import EdgeEffNetCore

final class PreprocessTests: XCTestCase {
    func testPixelsAreTheGoldenOnes() throws {
        for golden in try Golden.cases() {
            let pixels = try golden.preprocess.pixels(of: golden.decodedImage())
            XCTAssertEqual(pixels, try Golden.data("preprocess/\(golden.pixels)"), golden.image)
        }
    }

    func testTensorsAreTheGoldenOnes() throws {
        for golden in try Golden.cases() {
            let tensor = golden.preprocess.normalization.tensor(of: try Golden.data("preprocess/\(golden.pixels)"))
            XCTAssertEqual(tensor, try Golden.data("preprocess/\(golden.input)"), golden.image)
        }
    }

    func testASideThatStaysIsNotResampled() throws {
        let noise = RGBImage(width: 10, height: 12, pixels: (0..<360).map { UInt8(truncatingIfNeeded: $0 * 97) })
        let preprocess = Preprocess(crop: 10, resize: 10, interpolation: .bicubic, mean: [0, 0, 0], std: [1, 1, 1])
        XCTAssertEqual(try preprocess.pixels(of: noise), Data(noise.pixels[30..<330]))
    }

    func testNoImagesAreRefused() {
        let preprocess = Preprocess(crop: 8, resize: 8192, interpolation: .bilinear, mean: [0, 0, 0], std: [1, 1, 1])
        for (width, height) in [(7, 100), (8, 100_000)] {
            let image = RGBImage(width: width, height: height, pixels: .init(repeating: 0, count: width * height * 3))
            XCTAssertThrowsError(try preprocess.pixels(of: image)) { XCTAssertTrue($0 is InputError) }
        }
    }

    func testValuesOutOfRangeAreRefused() {
        let bad = [
            Preprocess(crop: 9, resize: 8, interpolation: .bilinear, mean: [0, 0, 0], std: [1, 1, 1]),
            Preprocess(crop: 8, resize: 8, interpolation: .bilinear, mean: [0, 0], std: [1, 1, 1]),
            Preprocess(crop: 8, resize: 8, interpolation: .bilinear, mean: [0, 0], std: [1, 1]),
            Preprocess(crop: 8, resize: 8, interpolation: .bilinear, mean: [0, 0, 0], std: [1, 0, 1]),
        ]
        for preprocess in bad { XCTAssertThrowsError(try preprocess.validate()) }
    }
}
