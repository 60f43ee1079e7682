import Foundation

/// Step 4 of docs/preprocessing.md: `((pixel / 255) - mean) / std` in float32, by channel (red, green, blue).
public struct Normalization: Codable, Equatable, Sendable {
    public let mean: [Double]
    public let std: [Double]

    public init(mean: [Double], std: [Double]) {
        self.mean = mean
        self.std = std
    }

    /// - Throws: `InputError` unless there are three numbers each, `std` above 0.
    public func validate() throws {
        guard mean.count == 3, std.count == 3, (mean + std).allSatisfy(\.isFinite), std.allSatisfy({ $0 > 0 }) else {
            throw InputError("mean \(mean) and std \(std): three finite numbers each are needed, std above 0.")
        }
    }

    /// Turns pixels `[H, W, 3]` into little-endian float32 `[3, H, W]`: all of red, then green, then blue.
    public func tensor(of pixels: Data) -> Data {
        let area = pixels.count / 3
        let values = [UInt32](unsafeUninitializedCapacity: area * 3) { target, count in
            pixels.withUnsafeBytes { (source: UnsafeRawBufferPointer) in
                for channel in 0..<3 {
                    let table = littleEndianValues(of: channel)
                    for index in 0..<area {
                        target[channel * area + index] = table[Int(source[index * 3 + channel])]
                    }
                }
            }
            count = area * 3
        }
        return values.withUnsafeBytes { Data($0) }
    }

    /// The 256 values that a pixel of this channel can become.
    private func littleEndianValues(of channel: Int) -> [UInt32] {
        let (mean, std) = (Float(mean[channel]), Float(std[channel]))
        return (0..<256).map { (((Float($0) / 255) - mean) / std).bitPattern.littleEndian }
    }
}
