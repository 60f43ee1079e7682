import Foundation

/// One class and the probability that the network gives it, 0..1.
public struct Prediction: Equatable, Sendable {
    public let index: Int
    public let probability: Float
}

/// What a program gives for one image: one float32 for each class.
public enum Logits {
    public static func softmax(_ logits: [Float]) -> [Float] {
        guard let largest = logits.max() else { return [] }
        let powers = logits.map { exp($0 - largest) }
        let sum = powers.reduce(0, +)
        return powers.map { $0 / sum }
    }

    /// The most probable classes, the best one first; of equal ones the lower index, as in Python.
    public static func top(_ count: Int, of logits: [Float]) -> [Prediction] {
        top(count, among: softmax(logits))
    }

    /// The same of probabilities.
    public static func top(_ count: Int, among probabilities: [Float]) -> [Prediction] {
        probabilities.enumerated()
            .sorted { ($0.element, $1.offset) > ($1.element, $0.offset) }
            .prefix(count)
            .map { Prediction(index: $0.offset, probability: $0.element) }
    }

    /// Little-endian float32.
    public static func bytes(_ logits: [Float]) -> Data {
        logits.map { $0.bitPattern.littleEndian }.withUnsafeBytes { Data($0) }
    }

    /// Inverse of `bytes`; nil if a value is cut.
    public static func values(_ bytes: Data) -> [Float]? {
        guard bytes.count % 4 == 0 else { return nil }
        let raw = [UInt8](bytes)
        return stride(from: 0, to: raw.count, by: 4).map { start in
            let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(raw[start + $1]) << (8 * $1) }
            return Float(bitPattern: bits)
        }
    }

    /// Signal to noise, dB: how close these logits come to the expected ones; infinite where they are equal.
    public static func sqnr(of logits: [Float], to expected: [Float]) -> Double {
        let noise = zip(logits, expected).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
        let signal = expected.reduce(0.0) { $0 + pow(Double($1), 2) }
        return noise == 0 ? .infinity : 10 * log10(signal / noise)
    }
}
