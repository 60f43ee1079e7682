package org.edgeeffnet.core.artifact

import org.edgeeffnet.core.GoldenVectors
import org.edgeeffnet.core.program.NetworkInput
import org.edgeeffnet.core.program.Program
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test
import java.io.ByteArrayInputStream
import java.io.File

/** An artifact that Python wrote: `-Dartifact=FOLDER`; the Python tests pass one. */
class ArtifactTest {
    @Test
    fun `its golden images give its pixels and tensors`() {
        val path = System.getProperty("artifact")
        assumeTrue(path != null)
        val folder = File(path)
        val manifest = Manifest.parse(File(folder, "manifest.json").readText())
        val labels = File(folder, "labels.txt").readLines()
        assertEquals(labels, manifest.classes)
        assertTrue(manifest.golden.isNotEmpty())

        fun read(name: String) = File(folder, name).readBytes()
        val outputs = manifest.golden.map { SelfTest.floats(read(it.output)) }.iterator()
        val program =
            object : Program {
                override fun forward(input: NetworkInput) = outputs.next()

                override fun close() = Unit
            }
        val decode = { file: ByteArray -> GoldenVectors.decode(ByteArrayInputStream(file)) }
        for (outcome in SelfTest(manifest, program, ::read, decode).run()) {
            assertEquals(SelfTestOutcome(outcome.image, true, true, Double.POSITIVE_INFINITY), outcome)
        }
    }
}
