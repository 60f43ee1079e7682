import Foundation

/// What the app reads of an artifact's `manifest.json` (docs/manifest.md); the other keys are for the tool.
public struct Manifest: Decodable, Equatable, Sendable {
    public struct Output: Decodable, Equatable, Sendable {
        public enum Kind: String, Decodable, Sendable { case softmax, sigmoid }

        /// `[1, classes]`.
        public let shape: [Int]
        /// What the program made of its logits; nil where it puts these out.
        public let kind: Kind?
        /// Of int8 numbers, which stand for `scale * (number - zeroPoint)`; nil for float32.
        public let scale: Double?
        public let zeroPoint: Int?

        enum CodingKeys: String, CodingKey {
            case shape, kind, scale
            case zeroPoint = "zero_point"
        }

        /// - Parameter numbers: that the program put out.
        /// - Returns: the probability of each class.
        public func probabilities(of numbers: [Float]) -> [Float] {
            let scale = Float(scale ?? 1)
            let offset = Float(zeroPoint ?? 0)
            let values = numbers.map { scale * ($0 - offset) }
            return kind == nil ? Logits.softmax(values) : values
        }
    }

    public struct Versions: Decodable, Equatable, Sendable {
        public let executorch: String
    }

    public struct File: Decodable, Equatable, Sendable {
        public let sha256: String
    }

    /// Files below the artifact folder (docs/preprocessing.md, golden images).
    public struct GoldenImage: Decodable, Equatable, Sendable {
        public let image: String
        public let pixels: String
        public let input: String
        public let output: String

        enum CodingKeys: String, CodingKey {
            case pixels, input, output
            case image = "photograph"
        }
    }

    enum CodingKeys: String, CodingKey {
        case schema, variant, backend, preprocess, input, output, versions, files
        case goldenImages = "golden_photographs"
    }

    public static let knownSchema = 1

    public let schema: Int
    public let variant: String
    public let backend: String
    public let preprocess: Preprocess
    public let input: TensorSpec
    public let output: Output
    public let versions: Versions
    public let files: [String: File]
    /// Nil in artifacts that were made before there were any.
    public let goldenImages: [GoldenImage]?

    /// - Throws: `InputError` if a part that the app needs is missing or out of range.
    public static func decode(_ data: Data) throws -> Manifest {
        try requireKnownSchema(data, known: knownSchema, name: "manifest.json")
        do {
            let manifest = try JSONDecoder().decode(Manifest.self, from: data)
            try manifest.preprocess.validate()
            try manifest.input.validate(side: manifest.preprocess.crop)
            guard manifest.preprocess.normalization.channels == manifest.input.channels else {
                throw InputError("manifest.json: mean has to have a number for each of the input's channels.")
            }
            guard manifest.output.shape.count == 2 else {
                throw InputError(
                    "manifest.json: the output has to be one row of classes, not \(manifest.output.shape).")
            }
            return manifest
        } catch let error as DecodingError {
            throw InputError("manifest.json: \(error.sentence); deploy the artifact again.")
        }
    }
}
