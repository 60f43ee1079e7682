import EdgeEffNetCore
import Foundation

/// The vectors that Python, Kotlin and Swift share: `tests/golden` of the repository, which this package lies in.
enum Golden {
    static let folder = (0..<6).reduce(URL(fileURLWithPath: #filePath)) { url, _ in url.deletingLastPathComponent() }
        .appendingPathComponent("tests/golden")

    struct Case: Decodable {
        let image: String
        let decoded: String
        let pixels: String
        let input: String
        /// Width and height.
        let size: [Int]
        let preprocess: Preprocess

        enum CodingKeys: String, CodingKey {
            case decoded, pixels, input, size, preprocess
            case image = "photograph"
        }

        func decodedImage() throws -> RGBImage {
            RGBImage(width: size[0], height: size[1], pixels: [UInt8](try data("preprocess/\(decoded)")))
        }
    }

    static func cases() throws -> [Case] {
        try JSONDecoder().decode([Case].self, from: data("preprocess/cases.json"))
    }

    static func data(_ name: String) throws -> Data {
        try Data(contentsOf: folder.appendingPathComponent(name))
    }
}
