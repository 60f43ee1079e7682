package org.edgeeffnet.app.job

import android.content.Intent
import android.os.Bundle
import android.util.Log
import android.view.WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.lifecycle.Lifecycle
import androidx.lifecycle.lifecycleScope
import androidx.lifecycle.repeatOnLifecycle
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.collectLatest
import kotlinx.coroutines.flow.filterNotNull
import kotlinx.coroutines.launch
import kotlinx.coroutines.runInterruptible
import org.edgeeffnet.app.R
import org.edgeeffnet.app.drawBehindSystemBars
import org.edgeeffnet.app.model.ExecuTorch
import org.edgeeffnet.app.words
import org.edgeeffnet.core.job.JobFolder
import org.edgeeffnet.core.job.JobId
import org.edgeeffnet.core.job.JobRunner
import org.edgeeffnet.core.job.Results
import java.io.File

/**
 * Runs the job that the intent names (docs/device.md), while it is on the screen: hidden apps get slow cores, and their
 * times say nothing. A job that left the screen stops between two images; it goes on when it comes back, or when
 * it is started again. Another job takes its place.
 */
class JobActivity : ComponentActivity() {
    private val requests = MutableStateFlow<Intent?>(null)
    private lateinit var text: TextView

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_job)
        drawBehindSystemBars()
        text = findViewById(R.id.text)
        setShowWhenLocked(true)
        setTurnScreenOn(true)
        requests.value = intent
        lifecycleScope.launch {
            repeatOnLifecycle(Lifecycle.State.STARTED) {
                requests.filterNotNull().collectLatest { request ->
                    delay(SETTLE_MS)
                    show(request)
                    requests.compareAndSet(request, null)
                }
            }
        }
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        requests.value = intent
    }

    private suspend fun show(request: Intent) {
        window.addFlags(FLAG_KEEP_SCREEN_ON)
        try {
            val id = JobId.parse(request.getStringExtra(JobContract.EXTRA_JOB))
            text.text = runInterruptible(Dispatchers.Default) { runJob(id) }.words()
        } catch (error: CancellationException) {
            throw error
        } catch (error: Throwable) {
            // Of any kind: the status file says it already, and a crash would only hide it from this screen.
            Log.e(TAG, "The job failed.", error)
            text.text = error.words()
        } finally {
            window.clearFlags(FLAG_KEEP_SCREEN_ON)
        }
    }

    private fun runJob(id: JobId): Results {
        val folder = JobFolder.below(File(dataDir, JobContract.JOBS_FOLDER), id)
        val runner =
            JobRunner(folder, ::ExecuTorch, AndroidPhone(this)) { status ->
                runOnUiThread { text.text = status.words() }
            }
        return runner.run()
    }

    private companion object {
        const val TAG = "edge-effnet"

        /** A screen that wakes up stops and starts its activity once more, and animates for a while. */
        const val SETTLE_MS = 1_000L
    }
}
