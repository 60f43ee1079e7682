package org.edgeeffnet.core.job

import org.edgeeffnet.core.files.writeAtomically
import org.json.JSONObject
import java.io.File

/** How far a job is: `status.json`. */
data class JobStatus(
    val state: State,
    val done: Int,
    val of: Int,
    val error: String? = null,
) {
    enum class State { RUNNING, DONE, FAILED }

    fun toJson(): JSONObject =
        JSONObject()
            .put("state", state.name.lowercase())
            .put("done", done)
            .put("of", of)
            .put("error", error ?: JSONObject.NULL)
}

/** Writes the status where whoever started the job looks for it, and tells [listener]. */
class StatusFile(
    private val file: File,
    private val clock: Clock,
    private val listener: (JobStatus) -> Unit,
) {
    private var done = 0
    private var of = 0
    private var writtenMs = Long.MIN_VALUE

    /** Progress; written now and then, since an image takes a few milliseconds only. */
    fun running(
        done: Int,
        of: Int,
    ) {
        this.done = done
        this.of = of
        val now = clock.nanos() / NANOS_PER_MS
        if (writtenMs != Long.MIN_VALUE && now - writtenMs < INTERVAL_MS) return
        writtenMs = now
        write(JobStatus(JobStatus.State.RUNNING, done, of))
    }

    fun done() = write(JobStatus(JobStatus.State.DONE, done, of))

    fun failed(error: String) = write(JobStatus(JobStatus.State.FAILED, done, of, error))

    private fun write(status: JobStatus) {
        listener(status)
        file.writeAtomically(status.toJson().toString())
    }

    private companion object {
        const val NANOS_PER_MS = 1_000_000L
        const val INTERVAL_MS = 500L
    }
}
