package org.edgeeffnet.core.job

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.program.InputFormat
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File

class JobSpecTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val job by lazy { JobFixture(folder.root) }

    private fun refused(change: JSONObject.() -> Unit): String {
        val fixture = JobFixture(folder.newFolder()).apply { write(change) }
        return assertThrows(InputException::class.java) { fixture.folder.open() }.message!!
    }

    @Test
    fun `a whole job is read`() {
        val spec = job.folder.open()
        assertEquals(JobFixture.images, spec.images)
        assertEquals(listOf(1, 2, 4, 3), listOf(spec.threads, spec.warmup, spec.repeats, spec.loads))
        assertEquals(InputFormat.FLOAT32_NCHW, spec.input.format)
    }

    @Test
    fun `each image has its own pixels`() {
        val spec = job.folder.open()
        for (index in spec.images.indices) {
            assertArrayEquals(ByteArray(JobFixture.STRIDE) { index.toByte() }, job.folder.pixels(spec, index))
        }
    }

    @Test
    fun `a program that normalises itself has no mean`() {
        job.write {
            put("input", JSONObject("""{"shape": [1, 8, 8, 3], "dtype": "uint8", "layout": "NHWC"}"""))
            put("normalize", JSONObject.NULL)
        }
        assertNull(job.folder.open().normalization)
    }

    @Test
    fun `what breaks the schema is refused`() {
        assertTrue("schema 2" in refused { put("schema", 2) })
        assertTrue("more" in refused { put("more", 1) })
        assertTrue("reruns" in refused { put("reruns", JSONArray(listOf(5))) })
        assertTrue("threads" in refused { put("threads", 0) })
        assertTrue("normalize" in refused { put("normalize", JSONObject.NULL) })
        assertTrue("images" in refused { getJSONArray("photographs").put(image()) })
        assertTrue("file" in refused { getJSONObject("program").put("file", "../model.pte") })
    }

    private fun image() = JSONObject().put("name", "one more").put("sha256", "00".repeat(32))

    @Test
    fun `files that are missing, cut off or changed are named`() {
        val program = File(job.path, "model.pte")
        for ((text, reason) in listOf("a prog" to "cut off", "A program" to "changed")) {
            program.writeText(text)
            val message = assertThrows(InputException::class.java) { job.folder.open() }.message!!
            assertTrue(message, "model.pte" in message && reason in message)
        }
        program.delete()
        val message = assertThrows(InputException::class.java) { job.folder.open() }.message!!
        assertTrue(message, "model.pte is missing" in message)
    }

    @Test
    fun `a folder of another job is refused`() {
        assertTrue("ffffffffffffffff" in refused { put("id", "ffffffffffffffff") })
    }

    @Test
    fun `only 16 hexadecimal digits are an id`() {
        for (text in listOf(null, "", "../../../databases", "0123456789abcdeF", "0123456789abcdef\n", "0".repeat(17))) {
            assertThrows(text, InputException::class.java) { JobId.parse(text) }
        }
        assertEquals("0123456789abcdef", JobId.parse("0123456789abcdef").digits)
    }
}
