import Foundation

/// What a program takes: `float32` `NCHW`, or `uint8` `NHWC` where the program normalises by itself.
public struct TensorSpec: Codable, Equatable, Sendable {
    public enum ElementType: String, Codable, Sendable { case float32, uint8 }
    public enum Layout: String, Codable, Sendable { case nchw = "NCHW", nhwc = "NHWC" }

    public let shape: [Int]
    public let dtype: ElementType
    public let layout: Layout

    public init(shape: [Int], dtype: ElementType, layout: Layout) {
        self.shape = shape
        self.dtype = dtype
        self.layout = layout
    }

    /// Of a pixel: three, or one of grays.
    public var channels: Int { shape.count == 4 ? shape[layout == .nchw ? 1 : 3] : 0 }

    /// - Parameter side: of the square of pixels that the program is given.
    /// - Throws: `InputError` unless it is one image of that side, in one of the two forms.
    public func validate(side: Int) throws {
        let known = channels == 3 || channels == 1
        switch (dtype, layout) {
        case (.float32, .nchw) where known && shape == [1, channels, side, side]: return
        case (.uint8, .nhwc) where known && shape == [1, side, side, channels]: return
        default:
            throw InputError(
                "The program takes \(dtype.rawValue) \(layout.rawValue) \(shape); this app gives it float32 NCHW "
                    + "[1, 3, \(side), \(side)] or uint8 NHWC [1, \(side), \(side), 3], or of one channel.")
        }
    }

    /// Turns `H x W x channels` pixels into the program's input.
    ///
    /// - Throws: `InputError` if a float32 program came without mean and std.
    public func input(of pixels: Data, normalization: Normalization?) throws -> ModelInput {
        switch dtype {
        case .uint8:
            return ModelInput(shape: shape, dtype: dtype, bytes: pixels)
        case .float32:
            guard let normalization else { throw InputError("A float32 program needs mean and std; there are none.") }
            return ModelInput(shape: shape, dtype: dtype, bytes: normalization.tensor(of: pixels))
        }
    }
}

/// A tensor, contiguous and little-endian.
public struct ModelInput: Equatable, Sendable {
    public let shape: [Int]
    public let dtype: TensorSpec.ElementType
    public let bytes: Data
}
