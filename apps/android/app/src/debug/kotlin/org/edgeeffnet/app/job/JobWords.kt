package org.edgeeffnet.app.job

import org.edgeeffnet.core.job.JobStatus
import org.edgeeffnet.core.job.Results

/** How far a job is, or why it ended. */
fun JobStatus.words(): String =
    when (state) {
        JobStatus.State.RUNNING -> if (done < of) "$done of $of images" else "all $of images, taking times"
        JobStatus.State.DONE -> "done"
        JobStatus.State.FAILED -> error.orEmpty()
    }

/** The figures of a job that is done. */
fun Results.words(): String {
    val times = latency.timesMs.sorted()
    return "${images.size} images done\n\nlatency %.2f ms (median of %d), %d pauses\nload %.1f ms".format(
        times[times.size / 2],
        times.size,
        latency.pauses,
        loadMs.sorted()[loadMs.size / 2],
    )
}
