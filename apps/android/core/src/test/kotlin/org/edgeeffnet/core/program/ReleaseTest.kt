package org.edgeeffnet.core.program

import org.edgeeffnet.core.InputException
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class ReleaseTest {
    @Test
    fun `programs of this and older releases run`() {
        for (program in listOf("1.4.1", "1.4.0", "1.3.9", "0.7.0", "1.4.1+cpu")) Release.refuseNewer(program, "1.4.1")
    }

    @Test
    fun `newer programs are refused by one sentence that names both`() {
        for (program in listOf("1.4.2", "1.5.0a0+0123abc", "2.0.0", "1.10.0")) {
            val error = assertThrows(InputException::class.java) { Release.refuseNewer(program, "1.4.1") }
            assertTrue(error.message, program in error.message!! && "1.4.1" in error.message!!)
        }
    }

    @Test
    fun `what is no release is refused`() {
        assertThrows(InputException::class.java) { Release.parse("latest") }
    }
}
