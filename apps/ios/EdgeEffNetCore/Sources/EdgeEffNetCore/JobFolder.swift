import Foundation

/// A job folder on this device (docs/device.md).
public struct JobFolder: Sendable {
    /// SHA-256 of a file, lower-case hexadecimal.
    public typealias Digest = @Sendable (URL) throws -> String

    public let url: URL
    public let job: Job

    public var program: URL { url.appendingPathComponent(job.program.file) }
    public var partial: URL { url.appendingPathComponent("partial.jsonl") }
    public var results: URL { url.appendingPathComponent("results.json") }
    public var status: URL { url.appendingPathComponent("status.json") }

    /// The files that came with the job.
    public var files: [String] { ["job.json", job.program.file] + job.pixels.files.map(\.file) }

    /// Reads `job.json`; the other files are verified by `verify`.
    ///
    /// - Throws: `InputError` if there is none or if it breaks the format's rules.
    public init(_ url: URL) throws {
        self.url = url
        guard let data = try? Data(contentsOf: url.appendingPathComponent("job.json")) else {
            throw InputError("\(url.lastPathComponent) holds no job.json; choose the folder that the tool wrote.")
        }
        job = try Job.decode(data)
    }

    /// - Throws: `InputError` that names the first file that is missing, cut off or changed.
    public func verify(digest: Digest) throws {
        let program = Job.File(file: job.program.file, sha256: job.program.sha256, bytes: job.program.bytes)
        for file in [program] + job.pixels.files {
            let path = url.appendingPathComponent(file.file)
            let size = try? FileManager.default.attributesOfItem(atPath: path.path)[.size] as? Int
            guard let size else { throw InputError("\(file.file) is missing; copy the whole folder again.") }
            guard size == file.bytes else {
                throw InputError("\(file.file) has \(size) bytes instead of \(file.bytes); copy the folder again.")
            }
            guard try digest(path) == file.sha256 else {
                throw InputError("\(file.file) is not the job's (its SHA-256 differs); copy the folder again.")
            }
        }
    }

    /// The pixels of one of the job's images, `side x side x channels`.
    public func pixels(at index: Int) throws -> Data {
        let pixels = job.pixels
        let size = pixels.stride(channels: job.input.channels)
        let file = url.appendingPathComponent(pixels.files[index / pixels.chunk].file)
        let handle = try FileHandle(forReadingFrom: file)
        defer { try? handle.close() }
        try handle.seek(toOffset: UInt64(index % pixels.chunk * size))
        guard let data = try handle.read(upToCount: size), data.count == size else {
            throw InputError("\(file.lastPathComponent) ends before image \(index); copy the folder again.")
        }
        return data
    }

    /// What the program is given for one of the job's images.
    public func input(at index: Int) throws -> ModelInput {
        try job.input.input(of: pixels(at: index), normalization: job.normalize)
    }
}
