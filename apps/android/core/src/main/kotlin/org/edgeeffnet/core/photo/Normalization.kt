package org.edgeeffnet.core.photo

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.photo.RgbImage.Companion.CHANNELS
import java.nio.FloatBuffer

/** `((pixel / 255) - mean) / std` in float32, by channel (docs/preprocessing.md, 4). */
data class Normalization(
    val mean: List<Double>,
    val std: List<Double>,
) {
    init {
        if (mean.size != CHANNELS || std.size != CHANNELS || std.any { it <= 0 }) {
            throw InputException("mean $mean and std $std: need three numbers each, std above 0.")
        }
    }

    private val tables =
        List(CHANNELS) { channel ->
            FloatArray(256) { (it / 255f - mean[channel].toFloat()) / std[channel].toFloat() }
        }

    /** Writes [pixels] (RGB by row) into [target] as NCHW: all of red, then green, then blue. */
    fun write(
        pixels: ByteArray,
        target: FloatBuffer,
    ) {
        val area = pixels.size / CHANNELS
        for ((channel, table) in tables.withIndex()) {
            for (i in 0 until area) {
                target.put(channel * area + i, table[pixels[i * CHANNELS + channel].toInt() and 0xFF])
            }
        }
    }
}
