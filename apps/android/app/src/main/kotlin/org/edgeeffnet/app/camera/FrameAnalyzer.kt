package org.edgeeffnet.app.camera

import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageProxy
import org.edgeeffnet.core.photo.RgbImage
import org.edgeeffnet.core.program.Classification
import org.edgeeffnet.core.program.Classifier

/** Classifies camera frames (RGBA, upright), one after the other; [show] gets what was seen, [fail] why it was not. */
class FrameAnalyzer(
    private val classifier: Classifier,
    private val show: (Classification) -> Unit,
    private val fail: (Throwable) -> Unit,
) : ImageAnalysis.Analyzer {
    /** Whatever left this method would end the app: an `Error` too, such as one of memory or of a native library. */
    override fun analyze(frame: ImageProxy) =
        try {
            show(classifier.classify(frame.use(::rgb)))
        } catch (error: Throwable) {
            fail(error)
        }

    private fun rgb(frame: ImageProxy): RgbImage {
        val plane = frame.planes.first()
        val rgba = ByteArray(plane.buffer.remaining()).also { plane.buffer.get(it) }
        return RgbImage.fromRgba(frame.width, frame.height, rgba, plane.rowStride)
    }
}
