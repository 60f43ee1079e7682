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

    /// The luma of every pixel (ITU-R 601, rounded in 16 bits as Pillow does), as red, green and blue alike.
    public func gray() -> RGBImage {
        var result = pixels
        for start in stride(from: 0, to: pixels.count, by: 3) {
            let (red, green, blue) = (Int(pixels[start]), Int(pixels[start + 1]), Int(pixels[start + 2]))
            let luma = UInt8((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16)
            for index in start..<start + 3 { result[index] = luma }
        }
        return RGBImage(width: width, height: height, pixels: result)
    }
}
