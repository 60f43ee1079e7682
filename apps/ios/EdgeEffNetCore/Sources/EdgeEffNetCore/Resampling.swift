/// Which input pixels make one output pixel, and how much of each: fixed-point with 22 fractional bits.
struct Taps {
    static let fractionBits: Int32 = 22

    let first: Int
    let coefficients: [Int32]

    /// The taps of each of `target` output positions, along a direction of `source` pixels.
    static func table(from source: Int, to target: Int, by interpolation: Interpolation) -> [Taps] {
        let scale = Double(source) / Double(target)
        let stretch = max(scale, 1)
        let support = interpolation.radius * stretch
        return (0..<target).map { position in
            let centre = (Double(position) + 0.5) * scale
            let first = max(0, Int(centre - support + 0.5))
            let last = min(source, Int(centre + support + 0.5))
            let weights = (first..<last).map { interpolation.weight((Double($0) - centre + 0.5) * (1 / stretch)) }
            let total = weights.reduce(0, +)
            return Taps(first: first, coefficients: weights.map { fixedPoint($0 / total) })
        }
    }

    private static func fixedPoint(_ weight: Double) -> Int32 {
        let scaled = weight * Double(1 << fractionBits)
        return Int32(weight >= 0 ? scaled + 0.5 : scaled - 0.5)
    }

    /// Half of the last bit that stays: sums start from it, so that the shift rounds.
    static let half: Int32 = 1 << (fractionBits - 1)

    static func clamped(_ sum: Int32) -> UInt8 {
        UInt8(clamping: sum >> fractionBits)
    }
}

extension RGBImage {
    /// Resamples to `width x height` with antialiasing: all rows first, then all columns, 8 bits in between.
    func resized(width newWidth: Int, height newHeight: Int, by interpolation: Interpolation) -> RGBImage {
        resizedRows(to: newWidth, by: interpolation).resizedColumns(to: newHeight, by: interpolation)
    }

    private func resizedRows(to newWidth: Int, by interpolation: Interpolation) -> RGBImage {
        guard newWidth != width else { return self }
        let table = Taps.table(from: width, to: newWidth, by: interpolation)
        var resized = [UInt8]()
        resized.reserveCapacity(newWidth * height * 3)
        pixels.withUnsafeBufferPointer { source in
            for row in 0..<height {
                for taps in table {
                    var (red, green, blue) = (Taps.half, Taps.half, Taps.half)
                    var offset = (row * width + taps.first) * 3
                    for coefficient in taps.coefficients {
                        red &+= Int32(source[offset]) &* coefficient
                        green &+= Int32(source[offset + 1]) &* coefficient
                        blue &+= Int32(source[offset + 2]) &* coefficient
                        offset += 3
                    }
                    resized.append(Taps.clamped(red))
                    resized.append(Taps.clamped(green))
                    resized.append(Taps.clamped(blue))
                }
            }
        }
        return RGBImage(width: newWidth, height: height, pixels: resized)
    }

    private func resizedColumns(to newHeight: Int, by interpolation: Interpolation) -> RGBImage {
        guard newHeight != height else { return self }
        let rowBytes = width * 3
        var sums = [Int32](repeating: 0, count: rowBytes)
        var resized = [UInt8]()
        resized.reserveCapacity(newHeight * rowBytes)
        pixels.withUnsafeBufferPointer { source in
            for taps in Taps.table(from: height, to: newHeight, by: interpolation) {
                for column in 0..<rowBytes { sums[column] = Taps.half }
                // Row after row, since sums are integers: any order gives the same, and this one reads memory in line.
                for (k, coefficient) in taps.coefficients.enumerated() {
                    let row = (taps.first + k) * rowBytes
                    for column in 0..<rowBytes { sums[column] &+= Int32(source[row + column]) &* coefficient }
                }
                resized.append(contentsOf: sums.lazy.map(Taps.clamped))
            }
        }
        return RGBImage(width: width, height: newHeight, pixels: resized)
    }
}
