package org.edgeeffnet.core.artifact

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.files.SHA256_PATTERN
import org.edgeeffnet.core.json.JsonFields
import org.edgeeffnet.core.photo.Preprocess
import org.edgeeffnet.core.program.InputSpec
import org.edgeeffnet.core.program.Output

/** What an app needs of an artifact's `manifest.json` (docs/manifest.md). */
data class Manifest(
    val classes: List<String>,
    val preprocess: Preprocess,
    val input: InputSpec,
    val programSha256: String,
    val executorch: String,
    val golden: List<GoldenImage>,
    val output: Output = Output(),
) {
    init {
        if (input.side != preprocess.crop) {
            throw InputException("The program sees ${input.side} pixels a side, the crop has ${preprocess.crop}.")
        }
        if (input.channels != preprocess.normalization.channels) {
            throw InputException(
                "The program sees ${input.channels} channels, mean has ${preprocess.normalization.channels} numbers.",
            )
        }
    }

    companion object {
        const val PROGRAM = "model.pte"
        private const val SCHEMA = 1

        /** @throws InputException where [text] is no manifest that this app can use. */
        fun parse(text: String): Manifest {
            val fields = JsonFields.parse(text, "manifest.json")
            val schema = fields.integer("schema")
            if (schema != SCHEMA) throw InputException("manifest.json has schema $schema, this app reads $SCHEMA.")
            return Manifest(
                classes = fields.texts("classes"),
                preprocess = Preprocess.from(fields.fields("preprocess")),
                input = InputSpec.from(fields.fields("input")),
                output = if (fields.has("output")) Output.from(fields.fields("output")) else Output(),
                programSha256 = fields.fields("files").fields(PROGRAM).matching("sha256", SHA256_PATTERN),
                executorch = fields.fields("versions").text("executorch"),
                golden = goldenImages(fields),
            )
        }

        private fun goldenImages(fields: JsonFields): List<GoldenImage> =
            if (fields.has(GOLDEN)) fields.list(GOLDEN, least = 0).map(GoldenImage::from) else emptyList()

        private const val GOLDEN = "golden_photographs"
    }
}
