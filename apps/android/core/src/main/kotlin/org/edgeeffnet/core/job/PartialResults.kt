package org.edgeeffnet.core.job

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.json.JsonFields
import java.io.Closeable
import java.io.File
import java.io.FileOutputStream
import java.io.RandomAccessFile

/**
 * `partial.jsonl`: a line for each image that has run, in the job's order, so that an interrupted job goes on
 * where it stopped.
 *
 * Opening it drops what is not whole or does not belong to [images] (a last line that was cut off, say), and
 * everything behind.
 */
class PartialResults private constructor(
    private val file: File,
    private val stream: FileOutputStream,
    /** Images that have run. */
    done: Int,
) : Closeable {
    var done: Int = done
        private set

    /** Adds a line; it is the system's when this returns, and survives the app. */
    fun append(entry: ImageLogits) {
        stream.write("${entry.toJson()}\n".toByteArray())
        done++
    }

    fun read(): List<ImageLogits> = file.readLines().map { entry(it) }

    override fun close() = stream.close()

    companion object {
        /** @param classes logits per image. */
        fun open(
            file: File,
            images: List<JobImage>,
            classes: Int,
        ): PartialResults {
            val lines = if (file.exists()) wholeLines(file.readBytes()) else emptyList()
            val good = lines.zip(images).takeWhile { (line, image) -> belongs(line, image, classes) }
            val length = good.sumOf { (line, _) -> line.toByteArray().size + 1L }
            if (file.exists()) RandomAccessFile(file, "rw").use { it.setLength(length) }
            return PartialResults(file, FileOutputStream(file, true), good.size)
        }

        private fun wholeLines(bytes: ByteArray): List<String> = String(bytes).split('\n').dropLast(1)

        private fun belongs(
            line: String,
            image: JobImage,
            classes: Int,
        ): Boolean =
            try {
                entry(line).let { it.image == image && it.logits.size == classes }
            } catch (_: InputException) {
                false
            }

        private fun entry(line: String) = ImageLogits.from(JsonFields.parse(line, "partial.jsonl"))
    }
}
