import XCTest

@testable import EdgeEffNetCore

final class LogitsTests: XCTestCase {
    func testSoftmaxSumsToOneAndDoesNotOverflow() {
        let probabilities = Logits.softmax([1000, 1000, -1000])
        XCTAssertEqual(probabilities, [0.5, 0.5, 0])
        XCTAssertEqual(Logits.softmax([0, 1, 2, 3]).reduce(0, +), 1, accuracy: 1e-6)
    }

    func testTheBestComeFirstAndOfEqualOnesTheLowerIndex() {
        XCTAssertEqual(Logits.top(3, of: [1, 5, 5, 9]).map(\.index), [3, 1, 2])
        XCTAssertEqual(Logits.top(5, of: [1, 2]).map(\.index), [1, 0])
        XCTAssertEqual(Logits.top(5, of: []), [])
    }

    func testProbabilitiesAreReadAsTheManifestSays() throws {
        let text = #"{"shape": [1, 2], "kind": "softmax", "dtype": "int8", "scale": 0.25, "zero_point": -4}"#
        let output = try JSONDecoder().decode(Manifest.Output.self, from: Data(text.utf8))
        XCTAssertEqual(output.probabilities(of: [-4, 0]), [0, 1])
        XCTAssertEqual(Logits.top(1, among: [0.25, 0.75]).map(\.index), [1])
    }

    func testBytesAreLittleEndianAndComeBack() {
        let logits: [Float] = [1.5, -0.25, .greatestFiniteMagnitude, .leastNonzeroMagnitude]
        XCTAssertEqual([UInt8](Logits.bytes([1.5])), [0, 0, 0xC0, 0x3F])
        XCTAssertEqual(Logits.values(Logits.bytes(logits)), logits)
        XCTAssertNil(Logits.values(Data([1, 2, 3])))
    }

    func testSQNR() {
        XCTAssertEqual(Logits.sqnr(of: [1, 2], to: [1, 2]), .infinity)
        XCTAssertEqual(Logits.sqnr(of: [9], to: [10]), 20, accuracy: 1e-9)
    }
}
