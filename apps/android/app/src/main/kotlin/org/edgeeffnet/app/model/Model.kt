package org.edgeeffnet.app.model

import android.content.Context
import org.edgeeffnet.app.photo.PhotoDecoder
import org.edgeeffnet.core.artifact.SelfTest
import org.edgeeffnet.core.artifact.SelfTestOutcome
import org.edgeeffnet.core.program.Classifier
import org.edgeeffnet.core.program.Program
import org.edgeeffnet.core.program.Release

/** The app's own artifact, loaded and ready. */
class Model private constructor(
    val artifact: Artifact,
    private val program: Program,
) {
    val classifier = Classifier(artifact.manifest, program)

    /** What this phone makes of the golden images. */
    fun selfTest(): List<SelfTestOutcome> =
        SelfTest(artifact.manifest, program, artifact::read, PhotoDecoder::decode).run()

    companion object {
        /** Takes a moment: not for the main thread. */
        fun load(context: Context): Model {
            val artifact = Artifact(context)
            val runtime = ExecuTorch()
            Release.refuseNewer(artifact.manifest.executorch, runtime.version)
            // About half of a phone's cores are fast ones, and a slow one holds all others up.
            val threads = (Runtime.getRuntime().availableProcessors() / 2).coerceAtLeast(1)
            return Model(artifact, runtime.load(artifact.programFile(), threads))
        }
    }
}
