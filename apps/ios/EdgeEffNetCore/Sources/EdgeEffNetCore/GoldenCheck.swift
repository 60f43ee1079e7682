import Foundation

/// What this device makes of a golden image, against what is expected of it.
public struct GoldenCheck: Equatable, Sendable {
    /// Float layers differ by rounding; float16 on the Neural Engine keeps some 47 dB, a wrong channel order 0.
    public static let minimumSQNR = 40.0

    public let image: String
    /// Bytes that are not the expected ones; none may be.
    public let wrongPixels: Int
    public let wrongInputBytes: Int
    /// Of the logits, dB; infinite where they are equal to the bit.
    public let sqnr: Double

    public var passed: Bool { wrongPixels == 0 && wrongInputBytes == 0 && sqnr >= Self.minimumSQNR }

    public var sentence: String {
        if wrongPixels > 0 { return "\(wrongPixels) bytes of pixels are wrong: decoding, scaling or cropping." }
        if wrongInputBytes > 0 { return "\(wrongInputBytes) bytes of the tensor are wrong: normalisation." }
        if sqnr == .infinity { return "Pixels, tensor and logits are equal to the bit." }
        let decibels = sqnr.formatted(.number.precision(.fractionLength(1)))
        return passed
            ? "Pixels and tensor are equal to the bit, logits within rounding (\(decibels) dB)."
            : "Logits are wrong (\(decibels) dB): the runtime or the backend."
    }
}

extension Artifact {
    /// Compares what `image` becomes with the golden files.
    ///
    /// - Parameter image: the golden image, decoded by this device.
    public func check<Runtime: ProgramRuntime>(
        _ golden: Manifest.GoldenImage, decoded image: RGBImage, on runtime: Runtime
    ) throws -> GoldenCheck {
        let pixels = try manifest.preprocess.pixels(of: image)
        let input = try manifest.input.input(of: pixels, normalization: manifest.preprocess.normalization)
        guard let expected = try Logits.values(file(golden.output)) else {
            throw InputError("\(golden.output) holds no float32 values; deploy the artifact again.")
        }
        let logits = try runtime.forward(runtime.prepare(input))
        guard logits.count == expected.count else {
            throw InputError("The program gave \(logits.count) logits, \(golden.output) holds \(expected.count).")
        }
        return try GoldenCheck(
            image: golden.image, wrongPixels: differences(pixels, file(golden.pixels)),
            wrongInputBytes: differences(input.bytes, file(golden.input)), sqnr: Logits.sqnr(of: logits, to: expected))
    }
}

/// Bytes that differ, missing ones included.
private func differences(_ left: Data, _ right: Data) -> Int {
    zip(left, right).reduce(abs(left.count - right.count)) { $0 + ($1.0 == $1.1 ? 0 : 1) }
}
