package org.edgeeffnet.core.photo

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.json.JsonFields
import kotlin.math.max
import kotlin.math.min

/**
 * From a decoded photograph to the pixels that the network sees (docs/preprocessing.md, 2 and 3).
 *
 * @property crop side of the square that the network sees, pixels.
 * @property resize length of the shorter side after scaling, pixels.
 */
data class Preprocess(
    val crop: Int,
    val resize: Int,
    val interpolation: Interpolation,
    val normalization: Normalization,
) {
    init {
        if (crop !in 1..resize || resize > MAX_SIDE) {
            throw InputException("crop $crop and resize $resize: need 1 <= crop <= resize <= $MAX_SIDE.")
        }
    }

    /**
     * Scales the shorter side of [image] to [resize] and cuts the [crop] x [crop] centre.
     *
     * @return red, green and blue of each pixel, row by row; the luma of each for a network that sees grays.
     * @throws InputException where [image] is no photograph: tiny, or extremely elongated.
     */
    fun pixels(image: RgbImage): ByteArray {
        val gray = normalization.channels == 1
        val scaled = scaled(if (gray) image.gray() else image)
        val cut = scaled.crop(margin(scaled.width), margin(scaled.height), crop, crop)
        return if (gray) cut.firstChannel() else cut.bytes
    }

    private fun scaled(image: RgbImage): RgbImage {
        val shorter = min(image.width, image.height)
        val longer = max(image.width, image.height)
        if (shorter < MIN_SIDE) {
            throw InputException("${image.width} x ${image.height} pixels is too small, need $MIN_SIDE a side.")
        }
        if (shorter == resize) return image
        val length = ((resize.toLong() * longer).toDouble() / shorter).toInt()
        if (resize.toLong() * length > MAX_RESIZED_PIXELS) {
            throw InputException("${image.width} x ${image.height} pixels is too elongated to be a photograph.")
        }
        return if (image.width <= image.height) {
            image.resized(resize, length, interpolation)
        } else {
            image.resized(length, resize, interpolation)
        }
    }

    /** Halves go to the even number, as Python's `round` has it. */
    private fun margin(side: Int): Int = Math.rint((side - crop) / 2.0).toInt()

    companion object {
        private const val MIN_SIDE = 8
        private const val MAX_SIDE = 8192
        private const val MAX_RESIZED_PIXELS = 64L * 1024 * 1024

        /** Reads the object `preprocess` of `manifest.json`. */
        fun from(fields: JsonFields): Preprocess {
            fields.exactly("crop", "resize", "interpolation", "mean", "std")
            return Preprocess(
                crop = fields.integer("crop"),
                resize = fields.integer("resize"),
                interpolation = Interpolation.named(fields.text("interpolation")),
                normalization = Normalization(fields.numbers("mean"), fields.numbers("std")),
            )
        }
    }
}
