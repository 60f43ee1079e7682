package org.edgeeffnet.core.photo

import org.edgeeffnet.core.photo.RgbImage.Companion.CHANNELS
import kotlin.math.max
import kotlin.math.min

/**
 * Scales this image to [width] x [height] pixels with antialiasing (docs/preprocessing.md, 2): all rows horizontally,
 * then all columns vertically. A direction whose length stays is skipped.
 */
fun RgbImage.resized(
    width: Int,
    height: Int,
    interpolation: Interpolation,
): RgbImage {
    val wide = if (width == this.width) this else resampledRows(Taps.of(this.width, width, interpolation))
    return if (height == wide.height) wide else wide.resampledColumns(Taps.of(wide.height, height, interpolation))
}

private fun RgbImage.resampledRows(taps: List<Taps>): RgbImage {
    val result = ByteArray(taps.size * height * CHANNELS)
    for (row in 0 until height) {
        for ((column, tap) in taps.withIndex()) {
            val from = (row * width + tap.first) * CHANNELS
            tap.apply(bytes, from, CHANNELS, result, (row * taps.size + column) * CHANNELS)
        }
    }
    return RgbImage(taps.size, height, result)
}

private fun RgbImage.resampledColumns(taps: List<Taps>): RgbImage {
    val stride = width * CHANNELS
    val result = ByteArray(stride * taps.size)
    for ((row, tap) in taps.withIndex()) {
        for (column in 0 until width) {
            val offset = column * CHANNELS
            tap.apply(bytes, tap.first * stride + offset, stride, result, row * stride + offset)
        }
    }
    return RgbImage(width, taps.size, result)
}

/** What one output position takes: from source position [first] on, each neighbour with its fixed-point weight. */
private class Taps(
    val first: Int,
    private val coefficients: IntArray,
) {
    /** Weighs the pixels at [from], [from] + [step], ... of [source] into the pixel at [to] of [target]. */
    fun apply(
        source: ByteArray,
        from: Int,
        step: Int,
        target: ByteArray,
        to: Int,
    ) {
        var red = HALF
        var green = HALF
        var blue = HALF
        var at = from
        for (coefficient in coefficients) {
            red += (source[at].toInt() and 0xFF) * coefficient
            green += (source[at + 1].toInt() and 0xFF) * coefficient
            blue += (source[at + 2].toInt() and 0xFF) * coefficient
            at += step
        }
        target[to] = (red shr FRACTION_BITS).coerceIn(0, 255).toByte()
        target[to + 1] = (green shr FRACTION_BITS).coerceIn(0, 255).toByte()
        target[to + 2] = (blue shr FRACTION_BITS).coerceIn(0, 255).toByte()
    }

    companion object {
        private const val FRACTION_BITS = 22
        private const val ONE = 1 shl FRACTION_BITS
        private const val HALF = 1 shl (FRACTION_BITS - 1)

        /** One for each of [to] output positions over [from] source positions. */
        fun of(
            from: Int,
            to: Int,
            interpolation: Interpolation,
        ): List<Taps> {
            val scale = from.toDouble() / to
            val stretch = max(scale, 1.0)
            val support = interpolation.radius * stretch
            return List(to) { position ->
                val centre = (position + 0.5) * scale
                val first = max(0, (centre - support + 0.5).toInt())
                val last = min(from, (centre + support + 0.5).toInt())
                val weights =
                    DoubleArray(last - first) { k ->
                        interpolation.weight((k + first - centre + 0.5) * (1.0 / stretch))
                    }
                Taps(first, fixedPoint(weights))
            }
        }

        private fun fixedPoint(weights: DoubleArray): IntArray {
            val sum = weights.sum()
            return IntArray(weights.size) { k ->
                val weight = weights[k] / sum
                (weight * ONE + if (weight >= 0) 0.5 else -0.5).toInt()
            }
        }
    }
}
