package org.edgeeffnet.app.camera

import android.Manifest
import android.os.Bundle
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.contract.ActivityResultContracts
import androidx.camera.core.CameraSelector
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.Preview
import androidx.camera.lifecycle.ProcessCameraProvider
import androidx.camera.view.PreviewView
import androidx.lifecycle.lifecycleScope
import com.google.common.util.concurrent.ListenableFuture
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.launch
import org.edgeeffnet.app.ClassifierApp
import org.edgeeffnet.app.R
import org.edgeeffnet.app.drawBehindSystemBars
import org.edgeeffnet.app.words
import org.edgeeffnet.core.program.Classifier
import java.util.concurrent.Executors

/** Classifies what the camera sees, frame by frame. */
class CameraActivity : ComponentActivity() {
    private val frames = Executors.newSingleThreadExecutor()
    private lateinit var text: TextView

    private val permission =
        registerForActivityResult(ActivityResultContracts.RequestPermission()) { granted ->
            if (granted) start() else text.setText(R.string.camera_refused)
        }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_camera)
        drawBehindSystemBars()
        text = findViewById(R.id.text)
        permission.launch(Manifest.permission.CAMERA)
    }

    override fun onDestroy() {
        frames.shutdown()
        super.onDestroy()
    }

    private fun start() {
        lifecycleScope.launch {
            try {
                val classifier = (application as ClassifierApp).model.await().classifier
                val provider = ProcessCameraProvider.getInstance(this@CameraActivity)
                provider.addListener({ bindOrSay(provider, classifier) }, mainExecutor)
            } catch (error: CancellationException) {
                throw error
            } catch (error: Throwable) {
                say(error)
            }
        }
    }

    private fun say(error: Throwable) {
        text.text = error.words()
    }

    /** A phone without a back camera is told, not crashed into. */
    private fun bindOrSay(
        provider: ListenableFuture<ProcessCameraProvider>,
        classifier: Classifier,
    ) {
        try {
            bind(provider.get(), classifier)
        } catch (error: Throwable) {
            text.text = getString(R.string.camera_failed, (error.cause ?: error).words())
        }
    }

    private fun bind(
        provider: ProcessCameraProvider,
        classifier: Classifier,
    ) {
        val preview = Preview.Builder().build()
        preview.setSurfaceProvider(findViewById<PreviewView>(R.id.preview).surfaceProvider)
        val analysis =
            ImageAnalysis
                .Builder()
                .setOutputImageFormat(ImageAnalysis.OUTPUT_IMAGE_FORMAT_RGBA_8888)
                .setOutputImageRotationEnabled(true)
                .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
                .build()
        val analyzer =
            FrameAnalyzer(
                classifier,
                show = { runOnUiThread { text.text = it.words() } },
                fail = { runOnUiThread { say(it) } },
            )
        analysis.setAnalyzer(frames, analyzer)
        provider.unbindAll()
        val camera = provider.bindToLifecycle(this, CameraSelector.DEFAULT_BACK_CAMERA, preview, analysis)
        // Binding reports nothing of a camera that another app holds or that a policy forbids: the preview stays black.
        camera.cameraInfo.cameraState.observe(this) { state ->
            state.error?.let { text.text = getString(R.string.camera_failed, getString(it.sentence())) }
        }
    }
}
