package org.edgeeffnet.core.job

import org.edgeeffnet.core.files.SHA256_PATTERN
import org.edgeeffnet.core.json.JsonFields

/** A photograph by name and contents; its pixels are in the job's pixel files. */
data class Photograph(
    val name: String,
    val sha256: String,
) {
    companion object {
        fun from(fields: JsonFields): Photograph {
            fields.exactly("name", "sha256")
            return Photograph(fields.text("name"), fields.matching("sha256", SHA256_PATTERN))
        }
    }
}
