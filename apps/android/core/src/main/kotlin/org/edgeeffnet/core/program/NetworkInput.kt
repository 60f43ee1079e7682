package org.edgeeffnet.core.program

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.photo.Normalization
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/**
 * What a program reads, in direct memory that native code uses without copying it. Each image overwrites the one
 * before.
 */
sealed class NetworkInput(
    val spec: InputSpec,
) {
    protected val elements = spec.side * spec.side * spec.channels

    /** Takes the pixels of one image by row (docs/preprocessing.md, 4). */
    fun write(pixels: ByteArray) {
        if (pixels.size != elements) throw InputException("${pixels.size} bytes of pixels, need $elements.")
        put(pixels)
    }

    protected abstract fun put(pixels: ByteArray)

    class Float32(
        spec: InputSpec,
        private val normalization: Normalization,
    ) : NetworkInput(spec) {
        val data: FloatBuffer = direct(elements * Float.SIZE_BYTES).asFloatBuffer()

        override fun put(pixels: ByteArray) = normalization.write(pixels, data)
    }

    class UInt8(
        spec: InputSpec,
    ) : NetworkInput(spec) {
        val data: ByteBuffer = direct(elements)

        override fun put(pixels: ByteArray) {
            data.clear()
            data.put(pixels)
            data.flip()
        }
    }

    companion object {
        /** @param normalization step 4 of the preprocessing; null where the program does it. */
        fun of(
            spec: InputSpec,
            normalization: Normalization?,
        ): NetworkInput =
            when (spec.format) {
                InputFormat.UINT8_NHWC -> {
                    UInt8(spec)
                }

                InputFormat.FLOAT32_NCHW -> {
                    Float32(spec, normalization ?: throw InputException("A float32 input needs mean and std."))
                }
            }

        private fun direct(bytes: Int) = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
    }
}
