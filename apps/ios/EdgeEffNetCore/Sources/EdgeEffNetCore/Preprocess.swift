import Foundation

/// From a decoded photograph to the network's pixels: steps 2 and 3 of docs/preprocessing.md.
public struct Preprocess: Codable, Equatable, Sendable {
    /// Side of the square that the network sees, pixels.
    public let crop: Int
    /// Length of the shorter side after scaling, pixels.
    public let resize: Int
    public let interpolation: Interpolation
    public let mean: [Double]
    public let std: [Double]

    /// Smaller files are icons or damaged downloads.
    static let minimumSide = 8
    /// A strip of 1 x 5000 pixels would become 256 x 1,280,000: no photograph needs this.
    static let maximumResizedPixels = 64 * 1024 * 1024

    public init(crop: Int, resize: Int, interpolation: Interpolation, mean: [Double], std: [Double]) {
        self.crop = crop
        self.resize = resize
        self.interpolation = interpolation
        self.mean = mean
        self.std = std
    }

    public var normalization: Normalization { Normalization(mean: mean, std: std) }

    /// - Throws: `InputError` if a value is out of range.
    public func validate() throws {
        guard 1 <= crop, crop <= resize, resize <= 8192 else {
            throw InputError("Preprocessing crop \(crop) and resize \(resize): 1 <= crop <= resize <= 8192 is needed.")
        }
        try normalization.validate()
    }

    /// Scales and crops.
    ///
    /// - Returns: `crop x crop x channels` bytes by row; for one channel the luma comes first.
    /// - Throws: `InputError` if the picture is too small or too elongated to be a photograph.
    public func pixels(of image: RGBImage) throws -> Data {
        let image = normalization.channels == 1 ? image.gray() : image
        let (shorter, longer) = (min(image.width, image.height), max(image.width, image.height))
        guard shorter >= Self.minimumSide else {
            throw InputError("\(image.width)x\(image.height) pixels is too small to be a photograph.")
        }
        let scaled = Int(Double(resize * longer) / Double(shorter))
        guard resize * scaled <= Self.maximumResizedPixels else {
            throw InputError("\(image.width)x\(image.height) pixels is too elongated to be a photograph.")
        }
        guard shorter != resize else { return centre(of: image) }
        let (width, height) = image.width <= image.height ? (resize, scaled) : (scaled, resize)
        return centre(of: image.resized(width: width, height: height, by: interpolation))
    }

    private func centre(of image: RGBImage) -> Data {
        let (left, top) = (margin(of: image.width), margin(of: image.height))
        let gray = normalization.channels == 1
        var square = Data(capacity: crop * crop * normalization.channels)
        for row in top..<top + crop {
            let start = (row * image.width + left) * 3
            if gray {
                // Red, green and blue are alike there.
                square.append(contentsOf: stride(from: start, to: start + crop * 3, by: 3).map { image.pixels[$0] })
            } else {
                square.append(contentsOf: image.pixels[start..<start + crop * 3])
            }
        }
        return square
    }

    /// Halves go to the even number.
    private func margin(of side: Int) -> Int {
        Int((Double(side - crop) / 2).rounded(.toNearestOrEven))
    }
}
