package org.edgeeffnet.core.job

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.files.ExpectedFile
import org.edgeeffnet.core.json.JsonFields
import org.edgeeffnet.core.photo.RgbImage

/** The files that hold the images' pixels, [chunk] images each, [side] x [side] x [channels] bytes per image. */
data class PixelFiles(
    val side: Int,
    val chunk: Int,
    val files: List<ExpectedFile>,
    val channels: Int = RgbImage.CHANNELS,
) {
    /** Bytes of one image. */
    val stride: Int = side * side * channels

    /** Refuses files that do not hold exactly [images] images. */
    fun refuseUnless(images: Int) {
        val sizes = List(images) { stride.toLong() }.chunked(chunk) { it.sum() }
        if (files.map { it.bytes } != sizes) {
            throw InputException("job.json: the pixel files do not hold $images images, $chunk per file.")
        }
    }

    companion object {
        private val NAME = Regex("""pixels-[0-9]{4,7}\.u8""")

        fun from(
            fields: JsonFields,
            channels: Int = RgbImage.CHANNELS,
        ): PixelFiles {
            fields.exactly("side", "chunk", "files")
            return PixelFiles(
                side = fields.integer("side", 1..8192),
                chunk = fields.integer("chunk", 1..Int.MAX_VALUE),
                files =
                    fields.list("files").map {
                        it.exactly("file", "sha256", "bytes")
                        ExpectedFile.from(it, NAME)
                    },
                channels = channels,
            )
        }
    }
}
