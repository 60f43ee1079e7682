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
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.launch
import org.edgeeffnet.app.ClassifierApp
import org.edgeeffnet.app.R
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
                provider.addListener({ bind(provider.get(), classifier) }, mainExecutor)
            } catch (error: CancellationException) {
                throw error
            } catch (error: Exception) {
                text.text = error.message
            }
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
        analysis.setAnalyzer(frames, FrameAnalyzer(classifier) { runOnUiThread { text.text = it.words() } })
        provider.unbindAll()
        provider.bindToLifecycle(this, CameraSelector.DEFAULT_BACK_CAMERA, preview, analysis)
    }
}
