package org.edgeeffnet.core.job

/** Time, which tests do not want to wait for. */
interface Clock {
    /** Nanoseconds that only grow; their zero means nothing. */
    fun nanos(): Long

    /** @throws InterruptedException where somebody wants this thread to end. */
    fun sleep(milliseconds: Long)

    object System : Clock {
        override fun nanos(): Long = java.lang.System.nanoTime()

        override fun sleep(milliseconds: Long) = Thread.sleep(milliseconds)
    }
}

/** Milliseconds that [action] takes; never zero, however coarse the clock. */
inline fun Clock.millisecondsOf(action: () -> Unit): Double {
    val start = nanos()
    action()
    return (nanos() - start).coerceAtLeast(1) / 1e6
}
