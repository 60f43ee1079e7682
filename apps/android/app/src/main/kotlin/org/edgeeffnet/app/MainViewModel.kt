package org.edgeeffnet.app

import android.app.Application
import android.content.Context
import android.graphics.Bitmap
import android.net.Uri
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.viewModelScope
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import org.edgeeffnet.app.photo.PhotoDecoder
import org.edgeeffnet.app.photo.seenBitmap

/** What the first screen shows; it outlives the activity, which Android makes anew when the phone is turned. */
class MainViewModel(
    application: Application,
) : AndroidViewModel(application) {
    data class Shown(
        val text: String,
        /** The pixels that the network saw. */
        val seen: Bitmap? = null,
    )

    private val app: ClassifierApp = getApplication()
    private val shown = MutableStateFlow(Shown(app.getString(R.string.welcome)))
    val state: StateFlow<Shown> = shown.asStateFlow()

    init {
        if (BuildConfig.DEBUG) selfTestNewProgram()
    }

    fun classify(uri: Uri) =
        work {
            val seen = app.model.await().classifier.classify(PhotoDecoder.decode(app.contentResolver, uri))
            Shown(seen.words(), seenBitmap(seen.pixels, seen.side))
        }

    fun selfTest() =
        work {
            Shown(
                app.model
                    .await()
                    .selfTest()
                    .words(),
            )
        }

    /** In a debug build, a program is tested when the app starts with it for the first time. */
    private fun selfTestNewProgram() =
        work {
            val model = app.model.await()
            val program = model.artifact.manifest.programSha256
            val settings = app.getSharedPreferences(TESTED, Context.MODE_PRIVATE)
            if (settings.getString(TESTED, null) == program) return@work Shown(app.getString(R.string.welcome))
            val said = model.selfTest().words()
            settings.edit().putString(TESTED, program).apply()
            Shown(said)
        }

    /** Runs [action] off the main thread; a failure, a missing native library's `Error` too, becomes a sentence. */
    private fun work(action: suspend () -> Shown) {
        shown.update { it.copy(text = app.getString(R.string.working)) }
        viewModelScope.launch {
            shown.value =
                try {
                    withContext(Dispatchers.Default) { action() }
                } catch (error: CancellationException) {
                    throw error
                } catch (error: Throwable) {
                    Shown(error.words())
                }
        }
    }

    private companion object {
        const val TESTED = "tested"
    }
}
