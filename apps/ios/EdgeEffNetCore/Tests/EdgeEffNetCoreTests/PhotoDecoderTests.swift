#if canImport(ImageIO)
import EdgeEffNetCore
import EdgeEffNetPhotos
import XCTest

/// Apple's decoder against the pixels that Python decoded: alpha, gray and colours.
final class PhotoDecoderTests: XCTestCase {
    func testDecodedPhotographsAreTheGoldenOnes() throws {
        for golden in try Golden.cases() {
            let decoded = try PhotoDecoder.decode(Golden.data("preprocess/\(golden.photograph)"))
            XCTAssertEqual(decoded, try golden.decodedImage(), golden.photograph)
        }
    }

    func testWhatIsNoImageIsRefused() {
        XCTAssertThrowsError(try PhotoDecoder.decode(Data("no image".utf8))) { XCTAssertTrue($0 is InputError) }
    }
}
#endif
