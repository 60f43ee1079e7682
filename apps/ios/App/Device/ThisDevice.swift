import Darwin
import EdgeEffNetCore
import Foundation

extension DeviceMonitor {
    static var thisDevice: DeviceMonitor {
        DeviceMonitor(
            device: .current, thermalState: currentThermalState, peakMemoryBytes: peakFootprint,
            milliseconds: uptimeMilliseconds, sleep: Thread.sleep(forTimeInterval:))
    }

    /// Stands still while the device sleeps.
    static func uptimeMilliseconds() -> Double {
        Double(DispatchTime.now().uptimeNanoseconds) / 1e6
    }

    private static func currentThermalState() -> ThermalState {
        switch ProcessInfo.processInfo.thermalState {
        case .nominal: .nominal
        case .fair: .fair
        case .serious: .serious
        case .critical: .critical
        @unknown default: .critical
        }
    }

    /// The highest footprint since the start: what iOS counts when it decides whom to end.
    private static func peakFootprint() -> Int? {
        var info = task_vm_info_data_t()
        var count = mach_msg_type_number_t(MemoryLayout<task_vm_info_data_t>.size / MemoryLayout<integer_t>.size)
        let status = withUnsafeMutablePointer(to: &info) { pointer in
            pointer.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                task_info(mach_task_self_, task_flavor_t(TASK_VM_INFO), $0, &count)
            }
        }
        return status == KERN_SUCCESS ? Int(info.ledger_phys_footprint_peak) : nil
    }
}

extension Results.Device {
    static var current: Results.Device {
        #if targetEnvironment(simulator)
        let emulated = true
        #else
        let emulated = false
        #endif
        let os = ProcessInfo.processInfo.operatingSystemVersion
        return Results.Device(
            name: systemValue("hw.machine") ?? "unknown",
            os: "iOS \(os.majorVersion).\(os.minorVersion).\(os.patchVersion)",
            soc: systemValue("machdep.cpu.brand_string") ?? "unknown", abi: "arm64", emulated: emulated)
    }

    private static func systemValue(_ name: String) -> String? {
        var size = 0
        guard sysctlbyname(name, nil, &size, nil, 0) == 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: size)
        guard sysctlbyname(name, &bytes, &size, nil, 0) == 0 else { return nil }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}
