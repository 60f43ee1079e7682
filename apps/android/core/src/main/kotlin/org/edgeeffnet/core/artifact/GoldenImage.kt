package org.edgeeffnet.core.artifact

import org.edgeeffnet.core.json.JsonFields

/** An image of the artifact and the files that say what becomes of it, paths below the artifact's folder. */
data class GoldenImage(
    val image: String,
    val pixels: String,
    val input: String,
    val output: String,
) {
    companion object {
        private val PATH = Regex("golden/[A-Za-z0-9_.-]+")

        fun from(fields: JsonFields): GoldenImage {
            fields.exactly("photograph", "pixels", "input", "output")
            return GoldenImage(
                image = fields.matching("photograph", PATH),
                pixels = fields.matching("pixels", PATH),
                input = fields.matching("input", PATH),
                output = fields.matching("output", PATH),
            )
        }
    }
}
