#if canImport(ImageIO)
import EdgeEffNetCore
import EdgeEffNetPhotos
import XCTest

/// Apple's decoder against the pixels that Python decoded: alpha, gray and colours.
final class PhotoDecoderTests: XCTestCase {
    func testDecodedImagesAreTheGoldenOnes() throws {
        for golden in try Golden.cases() {
            let decoded = try PhotoDecoder.decode(Golden.data("preprocess/\(golden.image)"))
            XCTAssertEqual(decoded, try golden.decodedImage(), golden.image)
        }
    }

    func testWhatIsNoImageIsRefused() {
        XCTAssertThrowsError(try PhotoDecoder.decode(Data("no image".utf8))) { XCTAssertTrue($0 is InputError) }
    }
}
#endif
