/// The eight ways in which a camera may have stored an image (EXIF tag 274).
public enum Orientation: Int, CaseIterable, Sendable {
    case upright = 1
    case mirrored, upsideDown, mirroredUpsideDown
    case transposed, onItsLeftSide, transverse, onItsRightSide

    /// Rows are stored as columns.
    var isTransposed: Bool { rawValue >= 5 }
    /// The stored column 0 is the picture's last one (after transposing: the last row).
    var flipsColumns: Bool { [.mirrored, .upsideDown, .transverse, .onItsRightSide].contains(self) }
    /// The stored row 0 is the picture's last one (after transposing: the last column).
    var flipsRows: Bool { [.upsideDown, .mirroredUpsideDown, .onItsLeftSide, .transverse].contains(self) }
}

extension RGBImage {
    /// Turns a stored picture the way it was seen.
    public func upright(from orientation: Orientation) -> RGBImage {
        guard orientation != .upright else { return self }
        let columnStep = (orientation.flipsColumns ? -1 : 1) * 3
        let rowStep = (orientation.flipsRows ? -1 : 1) * width * 3
        let start =
            (orientation.flipsColumns ? width - 1 : 0) * 3 + (orientation.flipsRows ? height - 1 : 0) * width * 3
        let transposed = orientation.isTransposed
        let (newWidth, newHeight) = transposed ? (height, width) : (width, height)
        let (xStep, yStep) = transposed ? (rowStep, columnStep) : (columnStep, rowStep)
        var turned = [UInt8]()
        turned.reserveCapacity(pixels.count)
        pixels.withUnsafeBufferPointer { source in
            for y in 0..<newHeight {
                var offset = start + y * yStep
                for _ in 0..<newWidth {
                    turned.append(source[offset])
                    turned.append(source[offset + 1])
                    turned.append(source[offset + 2])
                    offset += xStep
                }
            }
        }
        return RGBImage(width: newWidth, height: newHeight, pixels: turned)
    }
}
