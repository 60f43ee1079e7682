/// Where red, green and blue lie in what a decoder gave. Alpha is not mentioned: it is dropped, not blended
/// (docs/preprocessing.md, step 1).
public struct PixelLayout: Equatable, Sendable {
    /// How the components of one pixel are stored.
    public enum Component: Sendable {
        case eightBit, sixteenBitBigEndian, sixteenBitLittleEndian

        var bytes: Int { self == .eightBit ? 1 : 2 }
        /// Of 16 bits the upper 8 count.
        var upperByte: Int { self == .sixteenBitLittleEndian ? 1 : 0 }
    }

    public let bytesPerRow: Int
    public let bytesPerPixel: Int
    /// Offsets inside a pixel, in bytes.
    public let red: Int
    public let green: Int
    public let blue: Int

    /// - Parameters:
    ///   - components: stored for each pixel, alpha or padding included.
    ///   - red, green, blue: which of them, counted from 0; three times the same for gray.
    public init(
        bytesPerRow: Int, components: Int, of component: Component = .eightBit, red: Int, green: Int, blue: Int
    ) {
        self.bytesPerRow = bytesPerRow
        bytesPerPixel = components * component.bytes
        self.red = red * component.bytes + component.upperByte
        self.green = green * component.bytes + component.upperByte
        self.blue = blue * component.bytes + component.upperByte
    }

    /// What cameras deliver as `kCVPixelFormatType_32BGRA`.
    public static func bgra(bytesPerRow: Int) -> PixelLayout {
        PixelLayout(bytesPerRow: bytesPerRow, components: 4, red: 2, green: 1, blue: 0)
    }

    /// Picks a picture out of a decoder's buffer.
    ///
    /// - Throws: `InputError` if the buffer is shorter than the picture.
    public func image(width: Int, height: Int, from buffer: UnsafeRawBufferPointer) throws -> RGBImage {
        let needed = height == 0 ? 0 : (height - 1) * bytesPerRow + width * bytesPerPixel
        guard buffer.count >= needed else {
            throw InputError(
                "A picture of \(width)x\(height) was decoded to \(buffer.count) bytes instead of \(needed).")
        }
        let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { target, count in
            var output = 0
            for row in 0..<height {
                var input = row * bytesPerRow
                for _ in 0..<width {
                    target[output] = buffer[input + red]
                    target[output + 1] = buffer[input + green]
                    target[output + 2] = buffer[input + blue]
                    output += 3
                    input += bytesPerPixel
                }
            }
            count = output
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }
}
