package org.edgeeffnet.core.job

import org.edgeeffnet.core.InputException

/** 16 hexadecimal digits, and nothing that could leave the jobs folder. */
@JvmInline
value class JobId private constructor(
    val digits: String,
) {
    override fun toString(): String = digits

    companion object {
        val PATTERN = Regex("[0-9a-f]{16}")

        /** @throws InputException where [text] is anything else; a path, say. */
        fun parse(text: String?): JobId {
            if (text == null || !PATTERN.matches(text)) {
                throw InputException("The job is \"${text?.take(40)}\", need 16 hexadecimal digits.")
            }
            return JobId(text)
        }
    }
}
