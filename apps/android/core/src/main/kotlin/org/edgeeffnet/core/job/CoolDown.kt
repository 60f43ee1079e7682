package org.edgeeffnet.core.job

/** Pauses for a phone that throttles: what it does then says nothing about the program. */
class CoolDown(
    private val phone: Phone,
    private val clock: Clock,
) {
    /** Pauses that were needed. */
    var pauses = 0
        private set

    /** The worst status seen; null where the phone does not say. */
    var worst: ThermalStatus? = null
        private set

    private var patienceMs = PATIENCE_MS

    /** Returns at once from a cool phone, else when it has cooled down or the patience of this job is used up. */
    fun await() {
        if (patienceMs <= 0 || !throttles()) return
        pauses++
        do {
            clock.sleep(STEP_MS)
            patienceMs -= STEP_MS
        } while (patienceMs > 0 && throttles())
    }

    private fun throttles(): Boolean {
        val status = phone.thermalStatus() ?: return false
        worst = maxOf(worst ?: status, status)
        return status.throttles
    }

    companion object {
        const val STEP_MS = 2_000L

        /** In a hot room a phone may never report `none`; the results say so, in `pauses` and `status`. */
        const val PATIENCE_MS = 300_000L
    }
}
