package org.edgeeffnet.core.json

import org.edgeeffnet.core.InputException
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class JsonFieldsTest {
    private val fields =
        JsonFields.parse("""{"one": 1, "half": 0.5, "text": "1", "none": null, "list": [1, "2"], "empty": []}""", "t")

    private fun refused(read: JsonFields.() -> Unit): String =
        assertThrows(InputException::class.java) { fields.read() }.message!!

    @Test
    fun `values are read as what they are`() {
        assertEquals(1, fields.integer("one"))
        assertEquals(0.5, fields.numberOrNull("half")!!, 0.0)
        assertNull(fields.numberOrNull("none"))
        assertNull(fields.textOrNull("none"))
        assertEquals("1", fields.text("text"))
    }

    @Test
    fun `nothing is converted`() {
        assertTrue("text" in refused { integer("text") })
        assertTrue("one" in refused { text("one") })
        assertTrue("half" in refused { integer("half") })
        assertTrue("none" in refused { text("none") })
        assertTrue("one" in refused { flag("one") })
        assertTrue("list" in refused { integers("list") })
        assertTrue("empty" in refused { numbers("empty") })
        assertTrue("one" in refused { integer("one", 2..3) })
    }

    @Test
    fun `missing and unknown keys are named`() {
        assertTrue("gone" in refused { text("gone") })
        assertTrue("gone" in refused { exactly("one", "half", "text", "none", "list", "empty", "gone") })
        assertTrue("empty" in refused { exactly("one", "half", "text", "none", "list") })
    }

    @Test
    fun `a document is one whole object`() {
        for (text in listOf("", "[]", "{", """{"a": 1""", """{"a": 1} {"b": 2}""")) {
            assertThrows(text, InputException::class.java) { JsonFields.parse(text, "t") }
        }
    }

    @Test
    fun `a number is finite`() {
        assertThrows(InputException::class.java) { JsonFields.parse("""{"a": NaN}""", "t").numberOrNull("a") }
    }
}
