import Foundation

/// From a decoded image to the network's pixels: steps 2 and 3 of docs/preprocessing.md.
public struct Preprocess: Codable, Equatable, Sendable {
    /// Side of the square that the network sees, pixels.
    public let crop: Int
    /// Length of the side that `resizeMode` scales, pixels.
    public let resize: Int
    public let interpolation: Interpolation
    public let mean: [Double]
    public let std: [Double]
    /// Nil, as in most artifacts, scales the shorter side.
    public let resizeMode: ResizeMode?

    enum CodingKeys: String, CodingKey {
        case crop, resize, interpolation, mean, std
        case resizeMode = "resize_mode"
    }

    /// Smaller files are icons or damaged downloads.
    static let minimumSide = 8

    public init(
        crop: Int, resize: Int, interpolation: Interpolation, mean: [Double], std: [Double],
        resizeMode: ResizeMode? = nil
    ) {
        self.crop = crop
        self.resize = resize
        self.interpolation = interpolation
        self.mean = mean
        self.std = std
        self.resizeMode = resizeMode
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
    /// - Throws: `InputError` if the picture is too small or too elongated to be an image, or of another size than
    ///   `ResizeMode.none` takes.
    public func pixels(of image: RGBImage) throws -> Data {
        let image = normalization.channels == 1 ? image.gray() : image
        guard min(image.width, image.height) >= Self.minimumSide else {
            throw InputError("\(image.width)x\(image.height) pixels is too small to be an image.")
        }
        let (width, height) = try (resizeMode ?? .shorter).size(of: image, resize: resize)
        return centre(of: image.resized(width: width, height: height, by: interpolation))
    }

    private func centre(of image: RGBImage) -> Data {
        let channels = normalization.channels
        let border = self.border
        var square = Data(capacity: crop * crop * channels)
        let (left, top) = (start(of: image.width), start(of: image.height))
        for row in top..<top + crop {
            for column in left..<left + crop {
                let inside = 0..<image.height ~= row && 0..<image.width ~= column
                let pixel = (row * image.width + column) * 3
                // Of grays, red, green and blue are alike.
                for channel in 0..<channels { square.append(inside ? image.pixels[pixel + channel] : border[channel]) }
            }
        }
        return square
    }

    /// Where the centre begins on a side, halves to the even number; below 0 where a border fills the square.
    private func start(of side: Int) -> Int {
        if side < crop { return -((crop - side) / 2) }
        return Int((Double(side - crop) / 2).rounded(.toNearestOrEven))
    }

    /// Each channel beyond the image's edges.
    private var border: [UInt8] {
        guard resizeMode == .pad else { return mean.map { _ in 0 } }
        return mean.map { UInt8(min(max((255 * $0).rounded(.toNearestOrEven), 0), 255)) }
    }
}
