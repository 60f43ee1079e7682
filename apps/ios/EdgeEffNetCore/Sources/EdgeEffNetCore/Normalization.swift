import Foundation

/// Step 4 of docs/preprocessing.md: `((pixel / 255) - mean) / std` in float32, by channel (red, green, blue; or gray).
public struct Normalization: Codable, Equatable, Sendable {
    public let mean: [Double]
    public let std: [Double]

    public init(mean: [Double], std: [Double]) {
        self.mean = mean
        self.std = std
    }

    /// Of the network's input: three of colours, one of grays.
    public var channels: Int { mean.count }

    /// - Throws: `InputError` unless there are three numbers each, or one for gray, `std` above 0.
    public func validate() throws {
        let counts = [mean.count, std.count]
        guard counts == [3, 3] || counts == [1, 1], (mean + std).allSatisfy(\.isFinite), std.allSatisfy({ $0 > 0 })
        else {
            throw InputError(
                "mean \(mean) and std \(std): three finite numbers each are needed (one for gray), std above 0.")
        }
    }

    /// Turns pixels `[H, W, C]` into little-endian float32 `[C, H, W]`: all of red, then green, then blue.
    public func tensor(of pixels: Data) -> Data {
        let channels = self.channels
        let area = pixels.count / channels
        let values = [UInt32](unsafeUninitializedCapacity: area * channels) { target, count in
            pixels.withUnsafeBytes { (source: UnsafeRawBufferPointer) in
                for channel in 0..<channels {
                    let table = littleEndianValues(of: channel)
                    for index in 0..<area {
                        target[channel * area + index] = table[Int(source[index * channels + channel])]
                    }
                }
            }
            count = area * channels
        }
        return values.withUnsafeBytes { Data($0) }
    }

    /// The 256 values that a pixel of this channel can become.
    private func littleEndianValues(of channel: Int) -> [UInt32] {
        let (mean, std) = (Float(mean[channel]), Float(std[channel]))
        return (0..<256).map { (((Float($0) / 255) - mean) / std).bitPattern.littleEndian }
    }
}
