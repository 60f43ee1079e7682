package org.edgeeffnet.app

import android.content.Intent
import android.os.Bundle
import android.view.View
import android.widget.ImageView
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts.PickVisualMedia
import androidx.activity.viewModels
import androidx.lifecycle.Lifecycle
import androidx.lifecycle.lifecycleScope
import androidx.lifecycle.repeatOnLifecycle
import kotlinx.coroutines.launch
import org.edgeeffnet.app.camera.CameraActivity

/** Classifies a photo, and tests itself. */
class MainActivity : ComponentActivity() {
    private val screen: MainViewModel by viewModels()

    private val picker = registerForActivityResult(PickVisualMedia()) { uri -> uri?.let { screen.classify(it) } }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_main)
        drawBehindSystemBars()
        findViewById<View>(R.id.photo).setOnClickListener {
            picker.launch(PickVisualMediaRequest(PickVisualMedia.ImageOnly))
        }
        findViewById<View>(R.id.camera).setOnClickListener { startActivity(Intent(this, CameraActivity::class.java)) }
        findViewById<View>(R.id.self_test).setOnClickListener { screen.selfTest() }
        val picture = findViewById<ImageView>(R.id.picture)
        val text = findViewById<TextView>(R.id.text)
        lifecycleScope.launch {
            repeatOnLifecycle(Lifecycle.State.STARTED) {
                screen.state.collect { shown ->
                    picture.setImageBitmap(shown.seen)
                    text.text = shown.text
                }
            }
        }
    }
}
