import XCTest

@testable import EdgeEffNetCore

final class JobTests: XCTestCase {
    private func changed(_ change: (inout [String: Any]) -> Void) throws -> Data {
        let data = try JSONEncoder().encode(SampleJob().job)
        var object = try XCTUnwrap(JSONSerialization.jsonObject(with: data) as? [String: Any])
        change(&object)
        return try JSONSerialization.data(withJSONObject: object)
    }

    func testAGoodJobIsRead() throws {
        let job = SampleJob().job
        XCTAssertEqual(try Job.decode(changed { _ in }), job)
    }

    func testBrokenJobsAreRefused() throws {
        let changes: [String: (inout [String: Any]) -> Void] = [
            "schema 2": { $0["schema"] = 2 },
            "16 hexadecimal digits": { $0["id"] = "../0123456789abc" },
            "\"threads\" is missing": { $0["threads"] = nil },
            "\"normalize\" is missing": { $0["normalize"] = nil },
            "mean and std belong": { $0["normalize"] = NSNull() },
            "reruns name": { $0["reruns"] = [3] },
            "out of range": { $0["repeats"] = 0 },
            "\"surprise\"": { $0["surprise"] = 1 },
            "need 2 pixel files": {
                $0["pixels"] = ["side": 8, "chunk": 2, "files": [[String: Any]]()] as [String: Any]
            },
            "uint8 NHWC": {
                $0["input"] = ["shape": [1, 3, 9, 8], "dtype": "float32", "layout": "NCHW"] as [String: Any]
            },
        ]
        for (word, change) in changes {
            XCTAssertThrowsError(try Job.decode(changed(change)), word) { error in
                let message = (error as? InputError)?.message ?? "\(error)"
                XCTAssertTrue(message.contains(word), "\(word): \(message)")
            }
        }
    }

    /// Python writes a job and what its last image becomes; tests/apps/ios/test_swift.py.
    func testAJobOfTheToolIsRead() throws {
        guard let path = ProcessInfo.processInfo.environment["EDGE_EFFNET_JOB"] else {
            throw XCTSkip("EDGE_EFFNET_JOB names no job folder")
        }
        let folder = try JobFolder(URL(fileURLWithPath: path))
        let input = try folder.input(at: folder.job.images.count - 1)
        XCTAssertEqual(input.bytes, try Data(contentsOf: folder.url.appendingPathComponent("expected.input")))
    }

    func testAPathDoesNotLeaveTheFolder() throws {
        let job = try changed {
            var pixels = $0["pixels"] as? [String: Any] ?? [:]
            var files = pixels["files"] as? [[String: Any]] ?? []
            files[0]["file"] = "../pixels-0000.u8"
            pixels["files"] = files
            $0["pixels"] = pixels
        }
        XCTAssertThrowsError(try Job.decode(job))
    }

    func testVersionsAreOrderedAsNumbers() {
        XCTAssertLessThan(ExecuTorchVersion("1.4.1"), ExecuTorchVersion("1.10.0"))
        XCTAssertEqual(ExecuTorchVersion("1.5.0a0+f3a1"), ExecuTorchVersion("1.5"))
        XCTAssertLessThan(ExecuTorchVersion("nonsense"), ExecuTorchVersion("0.0.1"))
    }
}
