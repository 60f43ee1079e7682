package org.edgeeffnet.core.program

import org.edgeeffnet.core.InputException

/** A release of ExecuTorch. A runtime runs the programs of its own release and of older ones. */
data class Release(
    val major: Int,
    val minor: Int,
    val patch: Int,
) : Comparable<Release> {
    override fun compareTo(other: Release): Int = compareValuesBy(this, other, { it.major }, { it.minor }, { it.patch })

    override fun toString(): String = "$major.$minor.$patch"

    companion object {
        private val NUMBERS = Regex("""(\d{1,6})\.(\d{1,6})\.(\d{1,6}).*""")

        /** Reads `1.4.1`, `1.5.0a0+0123abc` and the like; what follows the three numbers does not count. */
        fun parse(text: String): Release {
            val match =
                NUMBERS.matchEntire(text)
                    ?: throw InputException("\"$text\" is no release of ExecuTorch, need one like 1.4.1.")
            val (major, minor, patch) = match.destructured
            return Release(major.toInt(), minor.toInt(), patch.toInt())
        }

        /** @throws InputException where a program of [program] is newer than the [runtime]. */
        fun refuseNewer(
            program: String,
            runtime: String,
        ) {
            if (parse(program) > parse(runtime)) {
                throw InputException(
                    "The program was made by ExecuTorch $program, this app runs programs up to $runtime; " +
                        "update the app, or make the program again with $runtime.",
                )
            }
        }
    }
}
