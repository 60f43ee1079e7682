package org.edgeeffnet.core.job

/** The device as a job sees it. What it does not tell is null. */
interface Phone {
    val description: DeviceDescription

    /** Temperature of the battery, degrees Celsius. */
    fun temperatureC(): Double?

    fun thermalStatus(): ThermalStatus?

    /** Resident memory of this process at its peak. */
    fun peakMemoryBytes(): Long?
}

/** Who ran the job, in words for people. */
data class DeviceDescription(
    val transport: String,
    val name: String,
    val os: String,
    val soc: String,
    val abi: String,
    val emulated: Boolean,
)

/** Android's scale of throttling, in its order. */
enum class ThermalStatus {
    NONE,
    LIGHT,
    MODERATE,
    SEVERE,
    CRITICAL,
    EMERGENCY,
    SHUTDOWN,
    ;

    val word: String get() = name.lowercase()

    val throttles: Boolean get() = this != NONE
}

/** Peak resident memory in bytes, of the text of `/proc/self/status`; null where it does not say. */
fun peakResidentBytes(status: String): Long? =
    Regex("""^VmHWM:\s+(\d+) kB$""", RegexOption.MULTILINE).find(status)?.let { it.groupValues[1].toLong() * 1024 }
