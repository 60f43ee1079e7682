import Foundation

/// One of the images that a job is about: its name below the data folder, and its content.
public struct JobImage: Codable, Equatable, Sendable {
    public let name: String
    public let sha256: String
}

/// What a program gave for one image.
public struct ImageResult: Codable, Equatable, Sendable {
    public let name: String
    public let sha256: String
    /// Base64 of little-endian float32: as exact as the numbers themselves.
    public let logits: String

    init(of image: JobImage, logits: [Float]) {
        name = image.name
        sha256 = image.sha256
        self.logits = Logits.bytes(logits).base64EncodedString()
    }

    public var image: JobImage { JobImage(name: name, sha256: sha256) }

    /// - Throws: `InputError` if the logits are not base64 of whole float32 values.
    public func values() throws -> [Float] {
        guard let bytes = Data(base64Encoded: logits), let values = Logits.values(bytes), !values.isEmpty else {
            throw InputError("The logits of \(name) are no base64 of float32 values.")
        }
        return values
    }

    func validate() throws {
        try Pattern.requireSHA256(sha256, name: "sha256")
        _ = try values()
    }
}
