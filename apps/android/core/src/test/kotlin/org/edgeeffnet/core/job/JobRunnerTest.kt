package org.edgeeffnet.core.job

import org.edgeeffnet.core.InputException
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File
import java.io.IOException

class JobRunnerTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val job by lazy { JobFixture(folder.root) }

    @Test
    fun `a job ends with results and nothing unfinished`() {
        val runtime = FakeRuntime()
        JobRunner(job.folder, { runtime }, FakePhone(ThermalStatus.NONE), FakeClock()).run()

        val results = ResultsFormat.read(File(job.path, "results.json").readText())
        assertEquals(JobFixture.images, results.images.map { it.image })
        assertEquals(listOf(0f, 1f, 2f, 3f, 4f), results.images.map { it.logits[0] })
        assertEquals(3, results.loadMs.size)
        assertEquals(4, results.latency.timesMs.size)
        assertEquals(Latency(2, results.latency.timesMs, 0), results.latency)
        assertEquals(Thermal(30.5, 30.5, "none"), results.thermal)
        assertEquals(job.id, results.job)
        assertTrue(results.complete)
        assertEquals("""{"state":"done","done":5,"of":5,"error":null}""", ordered(job.status()))
        assertEquals(5 + 2 + 4, runtime.forwards)
        assertEquals("every program is closed", 0, runtime.unclosed)
        assertEquals(emptyList<String>(), job.path.list()!!.filter { it.endsWith(".tmp") })
        handOver()
    }

    @Test
    fun `images run again in the job's order, whatever bits they get`() {
        job.write { put("reruns", JSONArray(listOf(0, 3, 0, 3))) }
        val runtime = FakeRuntime(noise = { if (it == 5 + 2) 1f else 0f })
        val results = runner(runtime).run()
        assertEquals(listOf(0, 3, 0, 3).map { JobFixture.images[it] }, results.reruns.map { it.image })
        assertEquals(listOf(0f, 3f, 1f, 3f), results.reruns.map { it.logits[0] })
        assertEquals(5 + 4 + 2 + 4, runtime.forwards)
        assertEquals(results.reruns.size, ResultsFormat.read(ResultsFormat.write(results)).reruns.size)
    }

    @Test
    fun `an interrupted job stops between two images and goes on there`() {
        val interrupted = FakeRuntime { if (it == 2) Thread.currentThread().interrupt() }
        assertThrows(InterruptedException::class.java) { runner(interrupted).run() }
        assertEquals("failed", job.status().getString("state"))
        assertTrue("goes on" in job.status().getString("error"))
        assertFalse(job.folder.results.exists())

        val rest = FakeRuntime()
        val results = runner(rest).run()
        assertEquals(listOf(0f, 1f, 2f, 3f, 4f), results.images.map { it.logits[0] })
        assertEquals(2 + 2 + 4, rest.forwards)
    }

    @Test
    fun `a program of a newer ExecuTorch is not even loaded`() {
        job.write { getJSONObject("program").put("executorch", "1.5.0") }
        val runtime = FakeRuntime()
        assertThrows(InputException::class.java) { runner(runtime).run() }
        assertTrue("1.5.0" in job.status().getString("error"))
        assertEquals(0, runtime.loads)
    }

    @Test
    fun `every failure is one sentence in the status`() {
        val failures =
            mapOf<Throwable, String>(
                IOException("write failed: ENOSPC (No space left on device)") to "no space left",
                IllegalStateException("Module has been destroyed\nand more") to "Module has been destroyed",
                UnsatisfiedLinkError("libexecutorch.so not found") to "libexecutorch.so",
            )
        for ((failure, words) in failures) {
            val runtime = FakeRuntime { throw failure }
            assertEquals(failure, assertThrows(Throwable::class.java) { runner(runtime).run() })
            val error = job.status().getString("error")
            assertTrue(error, words in error && '\n' !in error)
            assertEquals(0, runtime.unclosed)
        }
    }

    @Test
    fun `a runtime that does not start is a failure like any other`() {
        val start = { throw UnsatisfiedLinkError("no arm64-v8a") }
        assertThrows(UnsatisfiedLinkError::class.java) { JobRunner(job.folder, start, FakePhone()).run() }
        assertTrue("no arm64-v8a" in job.status().getString("error"))
    }

    @Test
    fun `other logits than the job says are refused`() {
        assertThrows(InputException::class.java) { runner(FakeRuntime(classes = 3)).run() }
        assertEquals(0, job.status().getInt("done"))
    }

    @Test
    fun `a job whose folder disappeared leaves none behind`() {
        val runtime = FakeRuntime { if (it == 2) job.path.deleteRecursively() }
        assertThrows(Exception::class.java) { runner(runtime).run() }
        assertFalse(job.path.exists())
    }

    @Test
    fun `a throttling phone is given a pause and the results say so`() {
        val clock = FakeClock()
        val phone = FakePhone(ThermalStatus.NONE, ThermalStatus.MODERATE, ThermalStatus.LIGHT, ThermalStatus.NONE)
        val results = JobRunner(job.folder, ::FakeRuntime, phone, clock).run()
        assertEquals(1, results.latency.pauses)
        assertEquals("moderate", results.thermal?.status)
        assertEquals(2 * CoolDown.STEP_MS, clock.slept)
    }

    @Test
    fun `a phone that never cools down is not waited for without end`() {
        val clock = FakeClock()
        val results = JobRunner(job.folder, ::FakeRuntime, FakePhone(ThermalStatus.SEVERE), clock).run()
        assertEquals(1, results.latency.pauses)
        assertEquals(CoolDown.PATIENCE_MS, clock.slept)
        assertEquals("severe", results.thermal?.status)
    }

    @Test
    fun `a phone that says nothing of heat runs without pauses`() {
        val results = JobRunner(job.folder, ::FakeRuntime, FakePhone(), FakeClock()).run()
        assertEquals(0, results.latency.pauses)
        assertNull(results.thermal?.status)
    }

    @Test
    fun `peak memory is read from the kernel's words`() {
        assertEquals(
            33_554_432L,
            peakResidentBytes("Name:\tapp\nVmPeak:\t  99999 kB\nVmHWM:\t   32768 kB\nVmRSS:\t 1 kB\n"),
        )
        assertNull(peakResidentBytes("Name:\tapp\n"))
    }

    /** Leaves what was read and written where the Python tests hold it against the schemas. */
    private fun handOver() {
        val folder = System.getProperty("written") ?: return
        for (name in listOf("job.json", "results.json", "status.json")) File(job.path, name).copyTo(File(folder, name))
    }

    private fun runner(runtime: FakeRuntime) =
        JobRunner(job.folder, { runtime }, FakePhone(ThermalStatus.NONE), FakeClock())

    private fun ordered(status: JSONObject): String =
        listOf("state", "done", "of", "error").joinToString(",", "{", "}") { key ->
            """"$key":${status.get(key).let { if (it is String) "\"$it\"" else it.toString() }}"""
        }
}
