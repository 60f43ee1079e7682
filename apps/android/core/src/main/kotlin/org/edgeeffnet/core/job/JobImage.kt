package org.edgeeffnet.core.job

import org.edgeeffnet.core.files.SHA256_PATTERN
import org.edgeeffnet.core.json.JsonFields

/** An image by name and contents; its pixels are in the job's pixel files. */
data class JobImage(
    val name: String,
    val sha256: String,
) {
    companion object {
        fun from(fields: JsonFields): JobImage {
            fields.exactly("name", "sha256")
            return JobImage(fields.text("name"), fields.matching("sha256", SHA256_PATTERN))
        }
    }
}
