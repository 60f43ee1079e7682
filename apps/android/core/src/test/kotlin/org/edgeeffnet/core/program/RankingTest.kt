package org.edgeeffnet.core.program

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.json.JsonFields
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test
import kotlin.math.exp

class RankingTest {
    @Test
    fun `the likeliest classes come first`() {
        val ranking = rank(floatArrayOf(1f, 3f, 2f), listOf("a", "b", "c"), count = 2)
        assertEquals(listOf("b", "c"), ranking.map { it.label })
        assertEquals(exp(3.0) / (exp(1.0) + exp(2.0) + exp(3.0)), ranking.first().probability, 1e-12)
    }

    @Test
    fun `there may be fewer classes than places`() {
        assertEquals(1, rank(floatArrayOf(0f), listOf("only")).size)
    }

    @Test
    fun `probabilities are taken as they are, int8 numbers as the manifest reads them`() {
        val output = Output(OutputKind.SOFTMAX, scale = 1.0 / 256, zeroPoint = -128)
        val ranking = rank(floatArrayOf(-128f, 64f, -64f), listOf("a", "b", "c"), output = output)
        assertEquals(listOf("b" to 0.75, "c" to 0.25, "a" to 0.0), ranking.map { it.label to it.probability })
    }

    @Test
    fun `the output is read from the manifest`() {
        val text = """{"dtype": "int8", "shape": [1, 2], "layout": "NC", "kind": "sigmoid", "scale": 0.5, "zero_point": -3}"""
        assertEquals(Output(OutputKind.SIGMOID, 0.5, -3), Output.from(JsonFields.parse(text, "manifest.json")))
        assertThrows(InputException::class.java) {
            Output.from(JsonFields.parse("""{"dtype": "float32", "kind": "argmax"}""", "manifest.json"))
        }
    }

    @Test
    fun `great logits do not overflow`() {
        assertEquals(listOf(0.5, 0.5), softmax(floatArrayOf(1000f, 1000f)).toList())
    }
}
