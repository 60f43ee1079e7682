/// The two resampling kernels of docs/preprocessing.md, step 2.
public enum Interpolation: String, Codable, Sendable {
    case bilinear, bicubic

    /// Half the kernel's width, in pixels.
    var radius: Double { self == .bilinear ? 1 : 2 }

    // The order of the operations is part of the contract. Swift never fuses a multiplication with an addition.
    func weight(_ distance: Double) -> Double {
        let x = abs(distance)
        switch self {
        case .bilinear:
            return x < 1 ? 1 - x : 0
        case .bicubic:
            let a = -0.5
            if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
            return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
        }
    }
}
