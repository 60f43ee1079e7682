package org.edgeeffnet.core.artifact

import org.edgeeffnet.core.photo.Interpolation
import org.edgeeffnet.core.photo.Normalization
import org.edgeeffnet.core.photo.Preprocess
import org.edgeeffnet.core.photo.RgbImage
import org.edgeeffnet.core.program.InputFormat
import org.edgeeffnet.core.program.InputSpec
import org.edgeeffnet.core.program.NetworkInput
import org.edgeeffnet.core.program.Program
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import java.nio.ByteBuffer
import java.nio.ByteOrder

class SelfTestTest {
    private val pixels = ByteArray(8 * 8 * 3) { it.toByte() }
    private val tensor = FloatArray(pixels.size) { (pixels[it % 64 * 3 + it / 64].toInt() and 0xFF) / 255f }
    private val manifest =
        Manifest(
            classes = listOf("cat", "dog"),
            preprocess = Preprocess(8, 8, Interpolation.BICUBIC, Normalization(List(3) { 0.0 }, List(3) { 1.0 })),
            input = InputSpec(InputFormat.FLOAT32_NCHW, 8),
            programSha256 = "",
            executorch = "1.4.1",
            golden = listOf(GoldenImage("p", "u8", "in", "out")),
        )

    private fun outcome(
        logits: FloatArray,
        files: Map<String, ByteArray> = emptyMap(),
    ): SelfTestOutcome {
        val program =
            object : Program {
                override fun forward(input: NetworkInput) = logits

                override fun close() = Unit
            }
        val good = mapOf("p" to pixels, "u8" to pixels, "in" to bytes(tensor), "out" to bytes(floatArrayOf(1f, 2f)))
        return SelfTest(manifest, program, (good + files)::getValue) { RgbImage(8, 8, it) }.run().single()
    }

    private fun bytes(values: FloatArray): ByteArray =
        ByteBuffer
            .allocate(
                4 * values.size,
            ).order(ByteOrder.LITTLE_ENDIAN)
            .also { it.asFloatBuffer().put(values) }
            .array()

    @Test
    fun `the expected numbers pass`() {
        val outcome = outcome(floatArrayOf(1f, 2f))
        assertEquals(SelfTestOutcome("p", true, true, Double.POSITIVE_INFINITY), outcome)
        assertTrue(outcome.passed)
    }

    @Test
    fun `rounding passes, other logits do not`() {
        assertTrue(outcome(floatArrayOf(1.001f, 2f)).passed)
        assertFalse(outcome(floatArrayOf(2f, 1f)).passed)
        assertFalse(outcome(floatArrayOf(1f, Float.NaN)).passed)
        assertFalse(outcome(floatArrayOf(1f)).passed)
    }

    @Test
    fun `another pixel or another tensor fails by however little`() {
        val pixel = pixels.copyOf().also { it[0]++ }
        assertFalse(outcome(floatArrayOf(1f, 2f), mapOf("u8" to pixel)).passed)
        val other = tensor.copyOf().also { it[0] = Math.nextUp(it[0]) }
        assertFalse(outcome(floatArrayOf(1f, 2f), mapOf("in" to bytes(other))).passed)
    }
}
