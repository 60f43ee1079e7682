package org.edgeeffnet.core

import org.edgeeffnet.core.photo.RgbImage
import org.junit.Assume.assumeTrue
import java.io.File
import java.io.InputStream
import javax.imageio.ImageIO

/** The vectors that Python, Kotlin and Swift share: `tests/golden/`, made by `python tests/golden/make.py`. */
object GoldenVectors {
    /** Skips the test where there are none: in a copy of the core, outside a clone. */
    fun file(path: String): File {
        val root = System.getProperty("golden")
        assumeTrue("No -Dgolden=tests/golden.", root != null)
        return File(root, path)
    }

    fun text(path: String): String = file(path).readText()

    fun bytes(path: String): ByteArray = file(path).readBytes()

    /** Decodes a PNG by its samples: `getRGB` would convert gray and drop bits. */
    fun decode(stream: InputStream): RgbImage {
        val raster = ImageIO.read(stream).raster
        val bytes = ByteArray(raster.width * raster.height * RgbImage.CHANNELS)
        for (i in bytes.indices) {
            val pixel = i / RgbImage.CHANNELS
            val band = if (raster.numBands < RgbImage.CHANNELS) 0 else i % RgbImage.CHANNELS
            bytes[i] = raster.getSample(pixel % raster.width, pixel / raster.width, band).toByte()
        }
        return RgbImage(raster.width, raster.height, bytes)
    }
}
