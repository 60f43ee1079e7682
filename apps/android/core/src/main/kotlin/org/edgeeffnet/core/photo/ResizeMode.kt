package org.edgeeffnet.core.photo

import org.edgeeffnet.core.InputException
import kotlin.math.max
import kotlin.math.min

/** How an image gets to `resize` pixels a side (docs/preprocessing.md, 2). */
enum class ResizeMode {
    SHORTER {
        override fun size(
            width: Int,
            height: Int,
            resize: Int,
        ): Pair<Int, Int> {
            val shorter = min(width, height)
            if (shorter == resize) return width to height
            val length = ((resize.toLong() * max(width, height)).toDouble() / shorter).toInt()
            if (resize.toLong() * length > MAX_RESIZED_PIXELS) {
                throw InputException("$width x $height pixels is too elongated to be an image.")
            }
            return if (width <= height) resize to length else length to resize
        }
    },
    SQUASH {
        override fun size(
            width: Int,
            height: Int,
            resize: Int,
        ): Pair<Int, Int> = resize to resize
    },
    PAD {
        override fun size(
            width: Int,
            height: Int,
            resize: Int,
        ): Pair<Int, Int> {
            val ratio = max(width, height).toDouble() / resize
            return padded(width / ratio) to padded(height / ratio)
        }
    },
    PAD_BLACK {
        override fun size(
            width: Int,
            height: Int,
            resize: Int,
        ): Pair<Int, Int> = PAD.size(width, height, resize)
    },
    NONE {
        override fun size(
            width: Int,
            height: Int,
            resize: Int,
        ): Pair<Int, Int> {
            if (width != resize || height != resize) {
                throw InputException("$width x $height pixels, need $resize a side: this program takes them as they are.")
            }
            return width to height
        }
    }, ;

    /** Width and height after scaling, before a border fills the square. */
    abstract fun size(
        width: Int,
        height: Int,
        resize: Int,
    ): Pair<Int, Int>

    companion object {
        private const val MAX_RESIZED_PIXELS = 64L * 1024 * 1024

        private fun padded(length: Double): Int = max(1, Math.rint(length).toInt())

        fun named(name: String): ResizeMode =
            entries.find { it.spelled() == name }
                ?: throw InputException("Unknown resize mode \"$name\"; choose one of ${entries.joinToString { it.spelled() }}.")

        private fun ResizeMode.spelled(): String = name.lowercase().replace('_', '-')
    }
}
