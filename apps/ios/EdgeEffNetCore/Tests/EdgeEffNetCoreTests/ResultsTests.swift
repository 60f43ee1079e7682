import XCTest

@testable import EdgeEffNetCore

final class ResultsTests: XCTestCase {
    func testTheGoodFileIsReadToTheBit() throws {
        let results = try Results.decode(Golden.data("results/good.json"))
        XCTAssertEqual(results.images.map(\.name), ["val/é/1.jpg"])
        XCTAssertEqual(
            try results.images.map { Logits.bytes(try $0.values()) }, [try Golden.data("results/good.logits.f32")])
        XCTAssertEqual(results.thermal?.beforeC, 31.5)
        XCTAssertEqual(results.peakMemoryBytes, 33_554_432)
    }

    func testWhatIsWrittenIsReadAgain() throws {
        var results = try Results.decode(Golden.data("results/good.json"))
        XCTAssertEqual(try Results.decode(results.encode()), results)
        results.peakMemoryBytes = nil
        results.thermal = nil
        let text = String(decoding: try results.encode(), as: UTF8.self)
        XCTAssertTrue(text.contains("\"peak_memory_bytes\" : null") && text.contains("\"thermal\" : null"), text)
        XCTAssertEqual(try Results.decode(results.encode()), results)
    }

    func testBrokenFilesAreRefusedByName() throws {
        let words = [
            "schema-2": "schema 2",
            "no-photographs": "no images",
            "no-latency": "\"latency\" is missing",
            "logits-not-base64": "base64",
            "unknown-key": "\"more\"",
            "truncated": "no JSON",
        ]
        for (name, word) in words {
            XCTAssertThrowsError(try Results.decode(Golden.data("results/\(name).json")), name) { error in
                let message = (error as? InputError)?.message ?? "\(error)"
                XCTAssertTrue(message.contains(word), "\(name): \(message)")
            }
        }
    }
}
