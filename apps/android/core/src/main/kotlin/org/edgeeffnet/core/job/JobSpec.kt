package org.edgeeffnet.core.job

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.files.ExpectedFile
import org.edgeeffnet.core.json.JsonFields
import org.edgeeffnet.core.photo.Normalization
import org.edgeeffnet.core.program.InputFormat
import org.edgeeffnet.core.program.InputSpec

/** What to run, on what, and how often: `job.json` (apps/device/job/job.schema.json). */
data class JobSpec(
    val id: JobId,
    val program: ExpectedFile,
    /** The release of ExecuTorch that made the program. */
    val executorch: String,
    val input: InputSpec,
    val classes: Int,
    /** Null where the program normalises itself. */
    val normalization: Normalization?,
    val pixels: PixelFiles,
    val images: List<JobImage>,
    /** Positions in [images] of those that run again at the end, in this order. */
    val reruns: List<Int>,
    val threads: Int,
    val warmup: Int,
    val repeats: Int,
    val loads: Int,
) {
    init {
        if ((normalization == null) != (input.format == InputFormat.UINT8_NHWC)) {
            throw InputException("job.json: a float32 input needs \"normalize\", a uint8 input must not have it.")
        }
        if (input.side != pixels.side) {
            throw InputException(
                "job.json: the program sees ${input.side} pixels a side, the files hold ${pixels.side}.",
            )
        }
        if (normalization != null && normalization.channels != input.channels) {
            throw InputException("job.json: mean has ${normalization.channels} numbers for ${input.channels} channels.")
        }
        pixels.refuseUnless(images.size)
    }

    companion object {
        private const val SCHEMA = 1
        private val PROGRAM = Regex("""model\.pte""")

        /** @throws InputException where [text] breaks the schema or contradicts itself. */
        fun parse(text: String): JobSpec {
            val fields = JsonFields.parse(text, "job.json")
            val schema = fields.integer("schema")
            if (schema != SCHEMA) throw InputException("job.json has schema $schema, this app reads $SCHEMA.")
            fields.exactly(
                "schema",
                "id",
                "program",
                "input",
                "output",
                "normalize",
                "pixels",
                "photographs",
                "reruns",
                "threads",
                "warmup",
                "repeats",
                "loads",
            )
            val program = fields.fields("program").apply { exactly("file", "sha256", "bytes", "backend", "executorch") }
            val images = fields.list("photographs").map(JobImage::from)
            val input = InputSpec.from(fields.fields("input"))
            return JobSpec(
                id = JobId.parse(fields.text("id")),
                program = ExpectedFile.from(program, PROGRAM),
                executorch = program.text("executorch"),
                input = input,
                classes = classes(fields.fields("output")),
                normalization = fields.fieldsOrNull("normalize")?.let(::normalization),
                pixels = PixelFiles.from(fields.fields("pixels"), input.channels),
                images = images,
                reruns = fields.indices("reruns", images.size),
                threads = fields.integer("threads", 1..256),
                warmup = fields.integer("warmup", 0..10_000),
                repeats = fields.integer("repeats", 1..100_000),
                loads = fields.integer("loads", 1..100),
            )
        }

        private fun classes(output: JsonFields): Int {
            output.exactly("shape")
            val shape = output.integers("shape")
            if (shape.size != 2 || shape[0] != 1) throw InputException("job.json: output $shape, need [1, classes].")
            return shape[1]
        }

        private fun normalization(fields: JsonFields): Normalization {
            fields.exactly("mean", "std")
            return Normalization(fields.numbers("mean"), fields.numbers("std"))
        }
    }
}
