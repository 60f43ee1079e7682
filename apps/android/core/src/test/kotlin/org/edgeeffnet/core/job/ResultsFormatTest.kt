package org.edgeeffnet.core.job

import org.edgeeffnet.core.GoldenVectors
import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.artifact.SelfTest
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class ResultsFormatTest {
    private val good = GoldenVectors.text("results/good.json")

    @Test
    fun `logits keep every bit`() {
        val read = ResultsFormat.read(good).images.single()
        val expected = SelfTest.floats(GoldenVectors.bytes("results/good.logits.f32"))
        assertArrayEquals(expected.map(Float::toRawBits).toIntArray(), read.logits.map(Float::toRawBits).toIntArray())
        assertEquals("val/é/1.jpg", read.image.name)
    }

    @Test
    fun `what is written is what was read`() {
        val written = ResultsFormat.write(ResultsFormat.read(good))
        assertEquals(canonical(good), canonical(written))
        assertEquals(written, ResultsFormat.write(ResultsFormat.read(written)))
    }

    @Test
    fun `what a phone does not tell is null`() {
        val silent = JSONObject(good).put("peak_memory_bytes", JSONObject.NULL).put("thermal", JSONObject.NULL)
        assertEquals(
            canonical(silent.toString()),
            canonical(ResultsFormat.write(ResultsFormat.read(silent.toString()))),
        )
    }

    @Test
    fun `every broken file is refused by a sentence that names what is wrong`() {
        val reasons =
            mapOf(
                "schema-2" to "schema 2",
                "no-photographs" to "photographs",
                "no-latency" to "latency",
                "logits-not-base64" to "logits",
                "unknown-key" to "more",
                "truncated" to "no whole JSON document",
            )
        val files = GoldenVectors.file("results").list { _, name -> name.endsWith(".json") && name != "good.json" }
        assertEquals(reasons.keys, files!!.map { it.removeSuffix(".json") }.toSet())
        for ((name, reason) in reasons) {
            val text = GoldenVectors.text("results/$name.json")
            val error = assertThrows(name, InputException::class.java) { ResultsFormat.read(text) }
            assertTrue("$name: ${error.message}", reason in error.message!!)
        }
    }

    /** Keys in order and numbers as doubles: two texts of the same JSON become equal. */
    private fun canonical(text: String): Any? = canonical(JSONObject(text) as Any)

    private fun canonical(value: Any?): Any? =
        when (value) {
            is JSONObject -> {
                value
                    .keys()
                    .asSequence()
                    .map { it.toString() }
                    .associateWith { canonical(value.get(it)) }
            }

            is org.json.JSONArray -> {
                List(value.length()) { canonical(value.get(it)) }
            }

            is Number -> {
                value.toDouble()
            }

            else -> {
                value
            }
        }
}
