package org.edgeeffnet.core.job

import org.junit.Assert.assertEquals
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File

class PartialResultsTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val images = List(3) { JobImage("photo\n$it é", "%064x".format(it)) }
    private val file by lazy { File(folder.root, "partial.jsonl") }

    private fun opened() = PartialResults.open(file, images, classes = 2)

    private fun append(vararg indices: Int) =
        opened().use { partial ->
            indices.forEach { partial.append(ImageLogits(images[it], floatArrayOf(it.toFloat(), -0f))) }
        }

    @Test
    fun `a job goes on behind the last image`() {
        append(0, 1)
        append(2)
        opened().use {
            assertEquals(3, it.done)
            assertEquals(images, it.read().map(ImageLogits::image))
            assertEquals(
                listOf(2f, -0f),
                it
                    .read()
                    .last()
                    .logits
                    .toList(),
            )
        }
    }

    @Test
    fun `wherever the last line was cut off, it is dropped and written again`() {
        append(0, 1)
        val whole = file.readBytes()
        val first = whole.indexOf('\n'.code.toByte()) + 1
        for (length in 0 until whole.size) {
            file.writeBytes(whole.copyOf(length))
            opened().use { assertEquals("$length bytes", if (length < first) 0 else 1, it.done) }
            if (length >= first) {
                append(1)
                assertEquals(String(whole), file.readText())
            }
        }
    }

    @Test
    fun `lines of another job, out of order or of other classes do not count`() {
        val other = ImageLogits(JobImage("other", "%064x".format(9)), floatArrayOf(0f, 0f))
        val many = ImageLogits(images[0], floatArrayOf(0f, 0f, 0f))
        for (line in listOf(other.toJson().toString(), many.toJson().toString(), "not json", "")) {
            file.writeText("$line\n")
            opened().use { assertEquals(line, 0, it.done) }
            assertEquals(0L, file.length())
        }
    }
}
