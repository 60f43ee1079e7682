package org.edgeeffnet.app.camera

import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageProxy
import org.edgeeffnet.core.photo.RgbImage
import org.edgeeffnet.core.program.Classification
import org.edgeeffnet.core.program.Classifier

/** Classifies camera frames (RGBA, upright), one after the other; [show] gets what was seen. */
class FrameAnalyzer(
    private val classifier: Classifier,
    private val show: (Classification) -> Unit,
) : ImageAnalysis.Analyzer {
    override fun analyze(frame: ImageProxy) = show(classifier.classify(frame.use(::rgb)))

    private fun rgb(frame: ImageProxy): RgbImage {
        val plane = frame.planes.first()
        val rgba = ByteArray(plane.buffer.remaining()).also { plane.buffer.get(it) }
        return RgbImage.fromRgba(frame.width, frame.height, rgba, plane.rowStride)
    }
}
