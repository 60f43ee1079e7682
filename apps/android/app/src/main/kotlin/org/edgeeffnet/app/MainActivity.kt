package org.edgeeffnet.app

import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.view.Menu
import android.view.MenuItem
import android.view.View
import android.widget.ImageView
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts.PickVisualMedia
import androidx.lifecycle.lifecycleScope
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import org.edgeeffnet.app.camera.CameraActivity
import org.edgeeffnet.app.photo.PhotographDecoder
import org.edgeeffnet.app.photo.seenBitmap

/** Classifies a photograph, and tests itself. */
class MainActivity : ComponentActivity() {
    private val model get() = (application as ClassifierApp).model
    private lateinit var picture: ImageView
    private lateinit var text: TextView

    private val picker = registerForActivityResult(PickVisualMedia()) { uri -> uri?.let(::classify) }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_main)
        picture = findViewById(R.id.picture)
        text = findViewById(R.id.text)
        findViewById<View>(R.id.photograph).setOnClickListener {
            picker.launch(PickVisualMediaRequest(PickVisualMedia.ImageOnly))
        }
        findViewById<View>(R.id.camera).setOnClickListener { startActivity(Intent(this, CameraActivity::class.java)) }
        if (BuildConfig.DEBUG && savedInstanceState == null) selfTestNewProgram()
    }

    override fun onCreateOptionsMenu(menu: Menu): Boolean {
        menuInflater.inflate(R.menu.main, menu)
        return true
    }

    override fun onOptionsItemSelected(item: MenuItem): Boolean {
        if (item.itemId != R.id.self_test) return super.onOptionsItemSelected(item)
        work { text.text = withContext(Dispatchers.Default) { model.await().selfTest().words() } }
        return true
    }

    private fun classify(uri: Uri) =
        work {
            val seen =
                withContext(Dispatchers.Default) {
                    model.await().classifier.classify(PhotographDecoder.decode(contentResolver, uri))
                }
            picture.setImageBitmap(seenBitmap(seen.pixels, seen.side))
            text.text = seen.words()
        }

    /** In a debug build, a program is tested when the app starts with it for the first time. */
    private fun selfTestNewProgram() =
        work {
            val program =
                model
                    .await()
                    .artifact.manifest.programSha256
            val settings = getPreferences(MODE_PRIVATE)
            if (settings.getString(TESTED, null) == program) {
                text.setText(R.string.welcome)
            } else {
                text.text = withContext(Dispatchers.Default) { model.await().selfTest().words() }
                settings.edit().putString(TESTED, program).apply()
            }
        }

    private fun work(action: suspend () -> Unit) {
        text.setText(R.string.working)
        lifecycleScope.launch {
            try {
                action()
            } catch (error: CancellationException) {
                throw error
            } catch (error: Exception) {
                text.text = error.message
            }
        }
    }

    private companion object {
        const val TESTED = "tested"
    }
}
