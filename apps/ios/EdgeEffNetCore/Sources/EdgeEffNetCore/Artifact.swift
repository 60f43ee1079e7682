import Foundation

/// The artifact folder that `edge-effnet deploy` put into the app.
public struct Artifact: Sendable {
    public let url: URL
    public let manifest: Manifest
    /// Class names by index.
    public let labels: [String]

    public var program: URL { url.appendingPathComponent("model.pte") }

    /// - Throws: `InputError` if there is no artifact, or if its parts contradict each other.
    public init(_ url: URL) throws {
        self.url = url
        guard let data = try? Data(contentsOf: url.appendingPathComponent("manifest.json")) else {
            throw InputError("The app holds no model; run `edge-effnet deploy FOLDER --app ios` and build it again.")
        }
        manifest = try Manifest.decode(data)
        let text = try String(contentsOf: url.appendingPathComponent("labels.txt"), encoding: .utf8)
        labels = text.split(separator: "\n").map(String.init)
        guard labels.count == manifest.output.shape[1] else {
            throw InputError(
                "labels.txt has \(labels.count) names for \(manifest.output.shape[1]) classes; deploy again.")
        }
    }

    /// What the program is given for a decoded image.
    public func input(of image: RGBImage) throws -> ModelInput {
        try manifest.input.input(
            of: manifest.preprocess.pixels(of: image), normalization: manifest.preprocess.normalization)
    }

    public func file(_ name: String) throws -> Data {
        do {
            return try Data(contentsOf: url.appendingPathComponent(name))
        } catch {
            throw InputError("\(name) is missing from the app; deploy the artifact again.")
        }
    }
}
