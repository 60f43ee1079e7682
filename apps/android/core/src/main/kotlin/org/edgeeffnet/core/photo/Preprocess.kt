package org.edgeeffnet.core.photo

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.json.JsonFields
import kotlin.math.min

/**
 * From a decoded image to the pixels that the network sees (docs/preprocessing.md, 2 and 3).
 *
 * @property crop side of the square that the network sees, pixels.
 * @property resize length of the side that [resizeMode] scales, pixels.
 */
data class Preprocess(
    val crop: Int,
    val resize: Int,
    val interpolation: Interpolation,
    val normalization: Normalization,
    val resizeMode: ResizeMode = ResizeMode.SHORTER,
) {
    init {
        if (crop !in 1..resize || resize > MAX_SIDE) {
            throw InputException("crop $crop and resize $resize: need 1 <= crop <= resize <= $MAX_SIDE.")
        }
    }

    /**
     * Scales [image] to [resize] and cuts the [crop] x [crop] centre.
     *
     * @return red, green and blue of each pixel, row by row; the luma of each for a network that sees grays.
     * @throws InputException where [image] is no image: tiny, or extremely elongated.
     */
    fun pixels(image: RgbImage): ByteArray {
        val gray = normalization.channels == 1
        val scaled = scaled(if (gray) image.gray() else image)
        val cut = scaled.crop(start(scaled.width), start(scaled.height), crop, crop, border())
        return if (gray) cut.firstChannel() else cut.bytes
    }

    private fun scaled(image: RgbImage): RgbImage {
        if (min(image.width, image.height) < MIN_SIDE) {
            throw InputException("${image.width} x ${image.height} pixels is too small, need $MIN_SIDE a side.")
        }
        val (width, height) = resizeMode.size(image.width, image.height, resize)
        return image.resized(width, height, interpolation)
    }

    /** Where the centre begins on a side, halves to the even number; below 0 where a border fills the square. */
    private fun start(side: Int): Int =
        if (side < crop) -((crop - side) / 2) else Math.rint((side - crop) / 2.0).toInt()

    /** Red, green and blue beyond the image's edges. */
    private fun border(): ByteArray {
        if (resizeMode != ResizeMode.PAD) return ByteArray(RgbImage.CHANNELS)
        val mean = normalization.mean
        return ByteArray(RgbImage.CHANNELS) { Math.rint(255 * mean[it % mean.size]).coerceIn(0.0, 255.0).toInt().toByte() }
    }

    companion object {
        private const val MIN_SIDE = 8
        private const val MAX_SIDE = 8192
        private const val MODE = "resize_mode"

        /** Reads the object `preprocess` of `manifest.json`. */
        fun from(fields: JsonFields): Preprocess {
            val named = fields.has(MODE)
            if (named) {
                fields.exactly("crop", "resize", "interpolation", "mean", "std", "resize_mode")
            } else {
                fields.exactly("crop", "resize", "interpolation", "mean", "std")
            }
            return Preprocess(
                crop = fields.integer("crop"),
                resize = fields.integer("resize"),
                interpolation = Interpolation.named(fields.text("interpolation")),
                normalization = Normalization(fields.numbers("mean"), fields.numbers("std")),
                resizeMode = if (named) ResizeMode.named(fields.text(MODE)) else ResizeMode.SHORTER,
            )
        }
    }
}
