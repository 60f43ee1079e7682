/// A release of ExecuTorch. Programs of older releases run on newer ones, not the other way round.
public struct ExecuTorchVersion: Comparable, CustomStringConvertible, Sendable {
    /// The release that this app is linked with: the branch of the Swift package is `swiftpm-` and this.
    public static let linked = ExecuTorchVersion("1.4.1")

    public let description: String
    private let numbers: [Int]

    /// - Parameter text: such as `1.4.1`; what follows the numbers (`1.5.0a0+f3a1`) does not order releases here.
    public init(_ text: String) {
        description = text
        let release = text.prefix { $0.isASCII && $0.isNumber || $0 == "." }
        let parts = release.split(separator: ".").prefix(3).map { Int($0) ?? 0 }
        numbers = parts + Array(repeating: 0, count: 3 - parts.count)
    }

    public static func == (left: Self, right: Self) -> Bool { left.numbers == right.numbers }

    public static func < (left: Self, right: Self) -> Bool { left.numbers.lexicographicallyPrecedes(right.numbers) }
}
