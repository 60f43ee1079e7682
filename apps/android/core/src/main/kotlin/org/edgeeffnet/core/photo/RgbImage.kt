package org.edgeeffnet.core.photo

import kotlin.math.max
import kotlin.math.min

/** A decoded image, upright: [bytes] holds red, green and blue of each pixel, row by row. */
class RgbImage(
    val width: Int,
    val height: Int,
    val bytes: ByteArray,
) {
    init {
        require(width > 0 && height > 0) { "An image needs pixels, got $width x $height." }
        require(bytes.size == width * height * CHANNELS) {
            "${bytes.size} bytes for $width x $height pixels, need ${width * height * CHANNELS}."
        }
    }

    /** The [width] x [height] pixels from column [left] and row [top] on; [border] beyond the edges. */
    fun crop(
        left: Int,
        top: Int,
        width: Int,
        height: Int,
        border: ByteArray,
    ): RgbImage {
        val cut = ByteArray(width * height * CHANNELS) { border[it % CHANNELS] }
        val (first, last) = max(left, 0) to min(left + width, this.width)
        for (row in max(0, -top) until min(height, this.height - top)) {
            val start = (top + row) * this.width
            bytes.copyInto(cut, (row * width + first - left) * CHANNELS, (start + first) * CHANNELS, (start + last) * CHANNELS)
        }
        return RgbImage(width, height, cut)
    }

    /** The luma of every pixel (ITU-R 601, rounded in 16 bits as Pillow does), as red, green and blue alike. */
    fun gray(): RgbImage {
        val result = ByteArray(bytes.size)
        for (at in bytes.indices step CHANNELS) {
            val sum = LUMA.indices.sumOf { LUMA[it] * (bytes[at + it].toInt() and 0xFF) }
            result.fill(((sum + HALF) shr BITS).toByte(), at, at + CHANNELS)
        }
        return RgbImage(width, height, result)
    }

    /** The first of the three bytes of each pixel. */
    fun firstChannel(): ByteArray = ByteArray(width * height) { bytes[it * CHANNELS] }

    companion object {
        const val CHANNELS = 3
        private const val BITS = 16
        private const val HALF = 1 shl (BITS - 1)
        private val LUMA = intArrayOf(19595, 38470, 7471)

        /**
         * Takes the colours of [rgba] (red, green, blue, alpha a pixel) and drops alpha.
         *
         * @param rowStride bytes from one row to the next; cameras pad their rows.
         */
        fun fromRgba(
            width: Int,
            height: Int,
            rgba: ByteArray,
            rowStride: Int = width * 4,
        ): RgbImage {
            val bytes = ByteArray(width * height * CHANNELS)
            var to = 0
            for (row in 0 until height) {
                var from = row * rowStride
                repeat(width) {
                    bytes[to++] = rgba[from]
                    bytes[to++] = rgba[from + 1]
                    bytes[to++] = rgba[from + 2]
                    from += 4
                }
            }
            return RgbImage(width, height, bytes)
        }
    }
}
