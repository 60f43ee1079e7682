package org.edgeeffnet.core.job

/** What a job found out: `results.json` (apps/device/job/results.schema.json). Times are ms, temperatures Celsius. */
class Results(
    /** ISO 8601, UTC. */
    val created: String,
    val job: JobId,
    val programSha256: String,
    /** False where images are missing. */
    val complete: Boolean,
    val device: DeviceDescription,
    val runtime: RuntimeDescription,
    val images: List<ImageLogits>,
    /** Of images that ran again: whoever reads them compares the bits. */
    val reruns: List<ImageLogits>,
    val loadMs: List<Double>,
    val latency: Latency,
    val peakMemoryBytes: Long?,
    val thermal: Thermal?,
)

data class RuntimeDescription(
    val version: String,
    val threads: Int,
)

/** [warmup] forwards that do not count, the time of each that does, and the pauses for cooling down. */
data class Latency(
    val warmup: Int,
    val timesMs: List<Double>,
    val pauses: Int,
)

data class Thermal(
    val beforeC: Double?,
    val afterC: Double?,
    val status: String?,
)
