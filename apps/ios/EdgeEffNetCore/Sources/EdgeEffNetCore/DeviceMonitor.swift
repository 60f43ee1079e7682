import Foundation

/// How hot the system says that it is, in its own words.
public enum ThermalState: String, Comparable, Sendable {
    case nominal, fair, serious, critical

    private var rank: Int {
        switch self {
        case .nominal: 0
        case .fair: 1
        case .serious: 2
        case .critical: 3
        }
    }

    public static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

    /// The system slows the processor down.
    public var throttles: Bool { self >= .serious }
}

/// What a runner asks of the device that it runs on.
public struct DeviceMonitor {
    public var device: Results.Device
    public var thermalState: () -> ThermalState
    /// Resident at most since the start of the process; nil where the system does not say.
    public var peakMemoryBytes: () -> Int?
    /// A clock that only goes forward, ms.
    public var milliseconds: () -> Double
    /// Waits for so many seconds.
    public var sleep: (TimeInterval) -> Void

    public init(
        device: Results.Device, thermalState: @escaping () -> ThermalState, peakMemoryBytes: @escaping () -> Int?,
        milliseconds: @escaping () -> Double, sleep: @escaping (TimeInterval) -> Void
    ) {
        self.device = device
        self.thermalState = thermalState
        self.peakMemoryBytes = peakMemoryBytes
        self.milliseconds = milliseconds
        self.sleep = sleep
    }
}
