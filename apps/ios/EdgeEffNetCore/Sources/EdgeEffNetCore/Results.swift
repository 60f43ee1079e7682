import Foundation

/// The results file (docs/device.md; the rules are in apps/device/job/results.schema.json).
public struct Results: Codable, Equatable, Sendable {
    public struct Device: Codable, Equatable, Sendable {
        public let transport: String
        public let name: String
        public let os: String
        public let soc: String
        public let abi: String
        public let emulated: Bool

        public init(name: String, os: String, soc: String, abi: String, emulated: Bool) {
            (transport, self.name, self.os, self.soc, self.abi) = ("ios", name, os, soc, abi)
            self.emulated = emulated
        }
    }

    public struct Runtime: Codable, Equatable, Sendable {
        public let version: String
        public let threads: Int
    }

    public struct Latency: Codable, Equatable, Sendable {
        enum CodingKeys: String, CodingKey { case warmup, timesMs = "times_ms", pauses }

        public let warmup: Int
        /// Each forward, ms.
        public let timesMs: [Double]
        public let pauses: Int
    }

    public struct Thermal: Codable, Equatable, Sendable {
        enum CodingKeys: String, CodingKey { case beforeC = "before_c", afterC = "after_c", status }

        /// Degrees Celsius.
        @Nullable public var beforeC: Double?
        @Nullable public var afterC: Double?
        /// The system's word.
        @Nullable public var status: String?
    }

    enum CodingKeys: String, CodingKey {
        case schema, created, job, complete, device, runtime, reruns, latency, thermal
        case images = "photographs"
        case programSHA256 = "program_sha256"
        case loadMs = "load_ms"
        case peakMemoryBytes = "peak_memory_bytes"
    }

    public static let knownSchema = 1

    public let schema: Int
    /// UTC, ISO 8601.
    public let created: String
    public let job: String
    public let programSHA256: String
    /// False where images are missing because somebody exported early.
    public let complete: Bool
    public let device: Device
    public let runtime: Runtime
    public let images: [ImageResult]
    /// Of images that ran again: whoever reads them compares the bits.
    public let reruns: [ImageResult]
    /// Each load, ms.
    public let loadMs: [Double]
    public let latency: Latency
    @Nullable public var peakMemoryBytes: Int?
    @Nullable public var thermal: Thermal?

    /// - Throws: `InputError` if the file breaks the format's rules.
    public static func decode(_ data: Data) throws -> Results {
        try requireKnownSchema(data, known: knownSchema, name: "results.json")
        let results = try StrictJSON.decode(Results.self, from: data, name: "results.json")
        try results.validate()
        return results
    }

    public func encode() throws -> Data {
        try StrictJSON.encode(self, pretty: true)
    }

    func validate() throws {
        try Pattern.requireHex(job, count: 16, name: "job")
        try Pattern.requireSHA256(programSHA256, name: "program_sha256")
        guard ["host", "arm64", "ssh", "adb", "ios"].contains(device.transport), 1...256 ~= runtime.threads else {
            throw InputError("results.json: the transport \"\(device.transport)\" or its threads are unknown.")
        }
        guard !images.isEmpty else { throw InputError("results.json: there are no images in it.") }
        for image in images + reruns { try image.validate() }
        for times in [loadMs, latency.timesMs] {
            guard !times.isEmpty, times.allSatisfy({ $0 > 0 }) else {
                throw InputError("results.json: a time is missing or not above 0 ms.")
            }
        }
        guard latency.warmup >= 0, latency.pauses >= 0, peakMemoryBytes ?? 0 >= 0 else {
            throw InputError("results.json: a count is below 0.")
        }
    }
}
