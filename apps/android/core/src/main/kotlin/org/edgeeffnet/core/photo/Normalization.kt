package org.edgeeffnet.core.photo

import org.edgeeffnet.core.InputException
import java.nio.FloatBuffer

/** `((pixel / 255) - mean) / std` in float32, by channel (docs/preprocessing.md, 4). */
data class Normalization(
    val mean: List<Double>,
    val std: List<Double>,
) {
    init {
        if (mean.size !in listOf(1, RgbImage.CHANNELS) || std.size != mean.size || std.any { it <= 0 }) {
            throw InputException("mean $mean and std $std: need three numbers each (one for gray), std above 0.")
        }
    }

    /** Of the network's input: three of colours, one of grays. */
    val channels: Int get() = mean.size

    private val tables =
        List(mean.size) { channel ->
            FloatArray(256) { (it / 255f - mean[channel].toFloat()) / std[channel].toFloat() }
        }

    /** Writes [pixels] ([channels] bytes each, by row) into [target] as NCHW: all of red, then green, then blue. */
    fun write(
        pixels: ByteArray,
        target: FloatBuffer,
    ) {
        val area = pixels.size / channels
        for ((channel, table) in tables.withIndex()) {
            for (i in 0 until area) {
                target.put(channel * area + i, table[pixels[i * channels + channel].toInt() and 0xFF])
            }
        }
    }
}
