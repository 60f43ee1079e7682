package org.edgeeffnet.core.artifact

import org.edgeeffnet.core.photo.RgbImage
import org.edgeeffnet.core.program.NetworkInput
import org.edgeeffnet.core.program.Program
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.log10

/** How this phone did on one golden image. */
data class SelfTestOutcome(
    val image: String,
    val pixelsEqual: Boolean,
    val tensorEqual: Boolean,
    /** Infinite where the logits are equal to the bit. */
    val logitsSqnrDb: Double,
) {
    val passed: Boolean get() = pixelsEqual && tensorEqual && logitsSqnrDb >= SelfTest.MIN_SQNR_DB
}

/**
 * Runs an artifact's golden images: pixels and tensors must be the expected ones to the bit.
 *
 * @param read gives a file of the artifact.
 * @param decode turns an image's file into pixels.
 */
class SelfTest(
    private val manifest: Manifest,
    private val program: Program,
    private val read: (String) -> ByteArray,
    private val decode: (ByteArray) -> RgbImage,
) {
    private val input = NetworkInput.of(manifest.input, manifest.preprocess.normalization)

    fun run(): List<SelfTestOutcome> = manifest.golden.map(::run)

    private fun run(golden: GoldenImage): SelfTestOutcome {
        val pixels = manifest.preprocess.pixels(decode(read(golden.image)))
        input.write(pixels)
        return SelfTestOutcome(
            image = golden.image,
            pixelsEqual = pixels.contentEquals(read(golden.pixels)),
            tensorEqual = tensorEquals(golden),
            logitsSqnrDb = sqnrDb(floats(read(golden.output)), program.forward(input)),
        )
    }

    private fun tensorEquals(golden: GoldenImage): Boolean =
        when (val input = input) {
            is NetworkInput.Float32 -> {
                val found = FloatArray(input.data.capacity()).also { input.data.duplicate().get(it) }
                found.contentEquals(floats(read(golden.input)))
            }

            // The program reads the pixels themselves, and those are compared already.
            is NetworkInput.UInt8 -> {
                true
            }
        }

    companion object {
        /**
         * Integer arithmetic gives the same bits everywhere, float layers differ by rounding: fp32 programs by more
         * than 100 dB, fp16 ones by 48 dB. Whatever is below this is no rounding.
         */
        const val MIN_SQNR_DB = 30.0

        fun floats(bytes: ByteArray): FloatArray {
            val buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
            return FloatArray(buffer.remaining()).also { buffer.get(it) }
        }

        /** Power of [expected] over power of the difference, dB: infinite without one, -infinite for other lengths. */
        fun sqnrDb(
            expected: FloatArray,
            found: FloatArray,
        ): Double {
            if (expected.contentEquals(found)) return Double.POSITIVE_INFINITY
            if (expected.size != found.size || found.any { !it.isFinite() }) return Double.NEGATIVE_INFINITY
            val signal = expected.sumOf { it.toDouble() * it }
            val noise =
                expected.indices.sumOf {
                    val d = expected[it].toDouble() - found[it]
                    d * d
                }
            return 10 * log10(signal / noise)
        }
    }
}
