import Foundation

/// `job.json`: what to do (docs/device.md; the rules are in apps/device/job/job.schema.json).
public struct Job: Codable, Equatable, Sendable {
    public struct Program: Codable, Equatable, Sendable {
        public let file: String
        public let sha256: String
        public let bytes: Int
        public let backend: String
        /// The version that made the program.
        public let executorch: String
    }

    public struct Output: Codable, Equatable, Sendable {
        /// `[1, classes]`.
        public let shape: [Int]
    }

    public struct Pixels: Codable, Equatable, Sendable {
        public let side: Int
        /// Images per file.
        public let chunk: Int
        public let files: [File]

        /// Bytes of one image of so many channels.
        public func stride(channels: Int) -> Int { side * side * channels }
    }

    public struct File: Codable, Equatable, Sendable {
        public let file: String
        public let sha256: String
        public let bytes: Int
    }

    enum CodingKeys: String, CodingKey {
        case schema, id, program, input, output, normalize, pixels, reruns, threads, warmup, repeats, loads
        case images = "photographs"
    }

    public static let knownSchema = 1

    public let schema: Int
    public let id: String
    public let program: Program
    public let input: TensorSpec
    public let output: Output
    /// Null for a uint8 input.
    @Nullable public var normalize: Normalization?
    public let pixels: Pixels
    public let images: [JobImage]
    /// Positions in `images` of those that run again at the end, in this order.
    public let reruns: [Int]
    public let threads: Int
    public let warmup: Int
    public let repeats: Int
    public let loads: Int

    /// - Throws: `InputError` if the file breaks the format's rules.
    public static func decode(_ data: Data) throws -> Job {
        try requireKnownSchema(data, known: knownSchema, name: "job.json")
        let job = try StrictJSON.decode(Job.self, from: data, name: "job.json")
        try job.validate()
        return job
    }

    private func validate() throws {
        try Pattern.requireHex(id, count: 16, name: "id")
        try Pattern.requireSHA256(program.sha256, name: "program.sha256")
        try input.validate(side: pixels.side)
        try normalize?.validate()
        guard program.file == "model.pte", output.shape.count == 2, output.shape[0] == 1, output.shape[1] >= 1 else {
            throw InputError("job.json: the program has to be model.pte and its output one row of classes.")
        }
        guard (input.dtype == .float32) == (normalize != nil) else {
            throw InputError("job.json: mean and std belong to a float32 input, and to no other.")
        }
        guard normalize == nil || normalize?.channels == input.channels else {
            throw InputError("job.json: mean and std have to have a number for each of \(input.channels) channels.")
        }
        guard 1...256 ~= threads, 0...10_000 ~= warmup, 1...100_000 ~= repeats, 1...100 ~= loads else {
            throw InputError("job.json: threads, warmup, repeats or loads are out of range.")
        }
        try validatePixels()
    }

    /// The files hold exactly the images, and no path leaves the folder.
    private func validatePixels() throws {
        guard 1...8192 ~= pixels.side, pixels.chunk >= 1, !images.isEmpty else {
            throw InputError("job.json: there are no images, or no pixels of them.")
        }
        guard reruns.allSatisfy({ images.indices.contains($0) }) else {
            throw InputError("job.json: reruns name an image that is not there.")
        }
        for image in images { try Pattern.requireSHA256(image.sha256, name: "sha256") }
        let stride = pixels.stride(channels: input.channels)
        let chunks = (images.count + pixels.chunk - 1) / pixels.chunk
        guard pixels.files.count == chunks else {
            throw InputError(
                "job.json: \(images.count) images need \(chunks) pixel files, not \(pixels.files.count).")
        }
        for (index, file) in pixels.files.enumerated() {
            try Pattern.requireSHA256(file.sha256, name: "pixels.files.sha256")
            let count = min(pixels.chunk, images.count - index * pixels.chunk)
            guard file.file.wholeMatch(of: #/pixels-[0-9]{4,7}\.u8/#) != nil, file.bytes == count * stride else {
                throw InputError("job.json: \(file.file) has to hold \(count) images of \(stride) bytes.")
            }
        }
    }
}

/// - Throws: `InputError` if a file is of another version of its format: read before the rest, whose keys may differ.
func requireKnownSchema(_ data: Data, known: Int, name: String) throws {
    struct Version: Decodable { let schema: Int }
    guard let found = try? JSONDecoder().decode(Version.self, from: data) else { return }
    guard found.schema == known else {
        throw InputError(
            "\(name): schema \(found.schema) is unknown, this app knows \(known); take app and tool of one version.")
    }
}
