package org.edgeeffnet.core.job

import org.edgeeffnet.core.InputException
import java.io.File
import java.io.RandomAccessFile

/** A job's folder (docs/device.md, The job folder). */
class JobFolder(
    private val path: File,
    private val id: JobId,
) {
    val partial = File(path, "partial.jsonl")
    val results = File(path, "results.json")
    val status = File(path, "status.json")

    fun program(spec: JobSpec) = File(path, spec.program.name)

    /**
     * Reads `job.json` and verifies every file that it names.
     *
     * @throws InputException where something is missing, cut off, changed, or of another job.
     */
    fun open(): JobSpec {
        val file = File(path, "job.json")
        if (!file.isFile) throw InputException("There is no job $id here; copy its folder first.")
        val spec = JobSpec.parse(file.readText())
        if (spec.id != id) throw InputException("The folder $id holds job ${spec.id}; copy the right one.")
        (listOf(spec.program) + spec.pixels.files).forEach { it.verifyIn(path) }
        return spec
    }

    /** Pixels of image [index], RGB by row. */
    fun pixels(
        spec: JobSpec,
        index: Int,
    ): ByteArray {
        val pixels = spec.pixels
        val file = File(path, pixels.files[index / pixels.chunk].name)
        return ByteArray(pixels.stride).also { bytes ->
            RandomAccessFile(file, "r").use {
                it.seek((index % pixels.chunk).toLong() * pixels.stride)
                it.readFully(bytes)
            }
        }
    }

    companion object {
        /** The folder of job [id] below the app's [jobs] folder. */
        fun below(
            jobs: File,
            id: JobId,
        ) = JobFolder(File(jobs, id.digits), id)
    }
}
