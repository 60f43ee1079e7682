package org.edgeeffnet.app.job

/** What whoever starts a job over adb relies on: apps/device/adb/android.json says the same, and a test compares. */
object JobContract {
    /** The intent's extra that names the job. */
    const val EXTRA_JOB = "job"

    /** Where jobs lie, below the app's data folder. */
    const val JOBS_FOLDER = "files/jobs"
}
