import XCTest

@testable import EdgeEffNetCore

/// What the app does with the bytes of a decoder, on every platform.
final class DecodingTests: XCTestCase {
    private func image(_ layout: PixelLayout, _ bytes: [UInt8]) throws -> [UInt8] {
        try bytes.withUnsafeBytes { try layout.image(width: 1, height: 2, from: $0).pixels }
    }

    func testColoursArePickedAndAlphaIsDropped() throws {
        let rows: [UInt8] = [1, 2, 3, 0, 77, 77, 4, 5, 6, 128]  // padded to 6 bytes, but for the last row
        let rgba = PixelLayout(bytesPerRow: 6, components: 4, red: 0, green: 1, blue: 2)
        XCTAssertEqual(try image(rgba, rows), [1, 2, 3, 4, 5, 6])
        XCTAssertEqual(try image(.bgra(bytesPerRow: 6), rows), [3, 2, 1, 6, 5, 4])
    }

    func testOfSixteenBitsTheUpperEightCount() throws {
        let big = PixelLayout(bytesPerRow: 2, components: 1, of: .sixteenBitBigEndian, red: 0, green: 0, blue: 0)
        let little = PixelLayout(bytesPerRow: 2, components: 1, of: .sixteenBitLittleEndian, red: 0, green: 0, blue: 0)
        XCTAssertEqual(try image(big, [0x12, 0xFF, 0xFE, 0x00]), [0x12, 0x12, 0x12, 0xFE, 0xFE, 0xFE])
        XCTAssertEqual(try image(little, [0xFF, 0x12, 0x00, 0xFE]), [0x12, 0x12, 0x12, 0xFE, 0xFE, 0xFE])
    }

    func testAShortBufferIsRefused() {
        XCTAssertThrowsError(try image(.bgra(bytesPerRow: 4), [1, 2, 3, 4, 5, 6, 7])) {
            XCTAssertEqual($0 as? InputError, InputError("A picture of 1x2 was decoded to 7 bytes instead of 8."))
        }
    }

    func testOrientationsAreThoseOfTheStandard() {
        // Two columns and three rows, named by what the first channel holds.
        let stored = RGBImage(width: 2, height: 3, pixels: (0..<6).flatMap { [UInt8($0), 0, 0] })
        let expected: [Orientation: (width: Int, order: [UInt8])] = [
            .upright: (2, [0, 1, 2, 3, 4, 5]),
            .mirrored: (2, [1, 0, 3, 2, 5, 4]),
            .upsideDown: (2, [5, 4, 3, 2, 1, 0]),
            .mirroredUpsideDown: (2, [4, 5, 2, 3, 0, 1]),
            .transposed: (3, [0, 2, 4, 1, 3, 5]),
            .onItsLeftSide: (3, [4, 2, 0, 5, 3, 1]),
            .transverse: (3, [5, 3, 1, 4, 2, 0]),
            .onItsRightSide: (3, [1, 3, 5, 0, 2, 4]),
        ]
        for orientation in Orientation.allCases {
            let turned = stored.upright(from: orientation)
            XCTAssertEqual(turned.width, expected[orientation]?.width, "\(orientation)")
            XCTAssertEqual(
                stride(from: 0, to: 18, by: 3).map { turned.pixels[$0] }, expected[orientation]?.order, "\(orientation)"
            )
        }
    }
}
