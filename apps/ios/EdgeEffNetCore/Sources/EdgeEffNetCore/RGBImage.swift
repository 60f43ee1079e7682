/// An 8-bit RGB picture.
public struct RGBImage: Equatable, Sendable {
    public let width: Int
    public let height: Int
    /// `height x width x 3` bytes, by row.
    public let pixels: [UInt8]

    public init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(pixels.count == width * height * 3, "\(pixels.count) bytes are no \(width)x\(height) RGB picture")
        self.width = width
        self.height = height
        self.pixels = pixels
    }
}
