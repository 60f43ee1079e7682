package org.edgeeffnet.core.program

import org.junit.Assert.assertEquals
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
    fun `great logits do not overflow`() {
        assertEquals(listOf(0.5, 0.5), softmax(floatArrayOf(1000f, 1000f)).toList())
    }
}
