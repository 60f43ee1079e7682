package org.edgeeffnet.core.program

import org.edgeeffnet.core.artifact.Manifest
import org.edgeeffnet.core.photo.RgbImage

/** What the network sees in one image, and the milliseconds that it took. */
class Classification(
    val ranking: List<Ranked>,
    /** The [side] x [side] pixels that the network saw, RGB by row. */
    val pixels: ByteArray,
    val side: Int,
    val preprocessMs: Double,
    val forwardMs: Double,
)

/** A program with everything around it, from a decoded image to ranked classes. */
class Classifier(
    private val manifest: Manifest,
    private val program: Program,
) {
    private val input = NetworkInput.of(manifest.input, manifest.preprocess.normalization)

    /** One image at a time: the program's input is shared. */
    @Synchronized
    fun classify(image: RgbImage): Classification {
        val start = System.nanoTime()
        val pixels = manifest.preprocess.pixels(image)
        input.write(pixels)
        val ready = System.nanoTime()
        val logits = program.forward(input)
        val done = System.nanoTime()
        return Classification(
            ranking = rank(logits, manifest.classes, output = manifest.output),
            pixels = pixels,
            side = manifest.preprocess.crop,
            preprocessMs = (ready - start) / NANOS_PER_MS,
            forwardMs = (done - ready) / NANOS_PER_MS,
        )
    }

    private companion object {
        const val NANOS_PER_MS = 1e6
    }
}
