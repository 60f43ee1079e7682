/// How an image gets to `resize` pixels a side (docs/preprocessing.md, step 2).
public enum ResizeMode: String, Codable, Sendable {
    case shorter, squash, pad
    case padBlack = "pad-black"
    case none

    /// A strip of 1 x 5000 pixels would become 256 x 1,280,000: no image needs this.
    static let maximumResizedPixels = 64 * 1024 * 1024

    /// Width and height after scaling, before a border fills the square.
    ///
    /// - Throws: `InputError` if the picture is too elongated, or of another size than it may have.
    func size(of image: RGBImage, resize: Int) throws -> (width: Int, height: Int) {
        let (width, height) = (image.width, image.height)
        switch self {
        case .shorter:
            let (shorter, longer) = (min(width, height), max(width, height))
            let scaled = Int(Double(resize * longer) / Double(shorter))
            guard resize * scaled <= Self.maximumResizedPixels else {
                throw InputError("\(width)x\(height) pixels is too elongated to be an image.")
            }
            if shorter == resize { return (width, height) }
            return width <= height ? (resize, scaled) : (scaled, resize)
        case .squash:
            return (resize, resize)
        case .pad, .padBlack:
            let ratio = Double(max(width, height)) / Double(resize)
            let sides = [width, height].map { max(1, Int((Double($0) / ratio).rounded(.toNearestOrEven))) }
            return (sides[0], sides[1])
        case .none:
            guard width == resize, height == resize else {
                throw InputError("\(width)x\(height) pixels; this program takes squares of \(resize) as they are.")
            }
            return (width, height)
        }
    }
}
