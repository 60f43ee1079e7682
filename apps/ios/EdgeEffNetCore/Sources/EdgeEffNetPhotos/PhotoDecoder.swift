#if canImport(ImageIO)
import Accelerate
import EdgeEffNetCore
import Foundation
import ImageIO

/// Step 1 of docs/preprocessing.md: any image to upright 8-bit RGB.
///
/// Nothing is drawn: a bitmap context multiplies colours with alpha and converts them between colour spaces, and both
/// change them. Python takes the stored values as they are, so this does, too.
public enum PhotoDecoder {
    /// - Parameter name: the image's, for the sentence.
    /// - Throws: `InputError` if it is no readable image.
    public static func decode(_ data: Data, name: String = "The image") throws -> RGBImage {
        guard let source = CGImageSourceCreateWithData(data as CFData, nil),
            let image = CGImageSourceCreateImageAtIndex(source, 0, nil)
        else {
            throw InputError("\(name) is not a readable image; choose another one.")
        }
        let properties = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [CFString: Any]
        let tag = properties?[kCGImagePropertyOrientation] as? Int
        return try stored(image).upright(from: tag.flatMap(Orientation.init) ?? .upright)
    }

    private static func stored(_ image: CGImage) throws -> RGBImage {
        guard let layout = PixelLayout(of: image), let data = image.dataProvider?.data as Data? else {
            return try converted(image)
        }
        return try data.withUnsafeBytes { try layout.image(width: image.width, height: image.height, from: $0) }
    }

    /// Palettes, CMYK and premultiplied colours: to 8-bit RGB with alpha beside the colours, not inside them.
    private static func converted(_ image: CGImage) throws -> RGBImage {
        let own = image.colorSpace?.baseColorSpace ?? image.colorSpace
        guard let space = own?.model == .rgb ? own : CGColorSpace(name: CGColorSpace.sRGB),
            let format = vImage_CGImageFormat(
                bitsPerComponent: 8, bitsPerPixel: 32, colorSpace: space,
                bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.last.rawValue))
        else {
            throw InputError("The image's colours are of a kind that this app does not know.")
        }
        let buffer = try vImage_Buffer(cgImage: image, format: format)
        defer { buffer.free() }
        let layout = PixelLayout(bytesPerRow: buffer.rowBytes, components: 4, red: 0, green: 1, blue: 2)
        let bytes = UnsafeRawBufferPointer(start: buffer.data, count: buffer.rowBytes * Int(buffer.height))
        return try layout.image(width: Int(buffer.width), height: Int(buffer.height), from: bytes)
    }
}

extension PixelLayout {
    /// The layout of what the decoder gave; nil where the stored values are no plain gray or RGB ones.
    init?(of image: CGImage) {
        let colours = [CGColorSpaceModel.rgb: 3, .monochrome: 1][image.colorSpace?.model ?? .unknown]
        guard let colours, let component = Component(of: image), image.decode == nil,
            image.bitsPerPixel % image.bitsPerComponent == 0
        else { return nil }
        let components = image.bitsPerPixel / image.bitsPerComponent
        var first = 0
        switch image.alphaInfo {
        case .premultipliedFirst, .premultipliedLast, .alphaOnly: return nil
        case .first, .noneSkipFirst: first = 1
        default: break
        }
        guard components >= first + colours else { return nil }
        var order = (0..<3).map { first + min($0, colours - 1) }
        if image.byteOrderInfo == .order32Little { order = order.map { components - 1 - $0 } }
        self.init(
            bytesPerRow: image.bytesPerRow, components: components, of: component,
            red: order[0], green: order[1], blue: order[2])
    }
}

extension PixelLayout.Component {
    fileprivate init?(of image: CGImage) {
        guard !image.bitmapInfo.contains(.floatComponents) else { return nil }
        switch (image.bitsPerComponent, image.byteOrderInfo) {
        case (8, .orderDefault), (8, .order32Big): self = .eightBit
        case (8, .order32Little) where image.bitsPerPixel == 32: self = .eightBit
        case (16, .orderDefault), (16, .order16Big): self = .sixteenBitBigEndian
        case (16, .order16Little): self = .sixteenBitLittleEndian
        default: return nil
        }
    }
}
#endif
