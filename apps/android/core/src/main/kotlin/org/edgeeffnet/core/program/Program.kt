package org.edgeeffnet.core.program

import java.io.Closeable
import java.io.File

/** A loaded program. Not for two threads at once. */
interface Program : Closeable {
    /** Runs once and returns the logits. */
    fun forward(input: NetworkInput): FloatArray
}

/** What loads programs: ExecuTorch in the app, a double in tests. */
interface ProgramRuntime {
    /** Its release, as `1.4.1`. */
    val version: String

    /** Reads [file] and makes it ready to run on [threads] threads. */
    fun load(
        file: File,
        threads: Int,
    ): Program
}
