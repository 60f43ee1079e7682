import Foundation

/// `partial.jsonl`: one line for each image that is done, so that an interrupted run goes on behind the last one.
struct PartialResults {
    private(set) var done: [ImageResult] = []
    private let handle: FileHandle

    /// Reads what an earlier run left, and cuts off what is not whole or not of this job.
    init(resuming job: Job, at url: URL) throws {
        let left = (try? Data(contentsOf: url)) ?? Data()
        var kept = 0
        for line in left.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast() {
            guard done.count < job.images.count,
                let result = try? StrictJSON.decode(ImageResult.self, from: Data(line), name: ""),
                result.image == job.images[done.count],
                (try? result.values().count) == job.output.shape[1]
            else { break }
            done.append(result)
            kept += line.count + 1
        }
        if left.isEmpty { try Data().write(to: url) }
        handle = try FileHandle(forWritingTo: url)
        try handle.truncate(atOffset: UInt64(kept))
        try handle.seekToEnd()
    }

    mutating func append(_ result: ImageResult) throws {
        try handle.write(contentsOf: StrictJSON.encode(result) + [UInt8(ascii: "\n")])
        done.append(result)
    }

    func close() throws {
        try handle.close()
    }
}
