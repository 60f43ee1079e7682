package org.edgeeffnet.core.job

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.files.writeAtomically
import org.edgeeffnet.core.program.NetworkInput
import org.edgeeffnet.core.program.Program
import org.edgeeffnet.core.program.ProgramRuntime
import org.edgeeffnet.core.program.Release
import java.time.Instant
import java.time.temporal.ChronoUnit

/**
 * Does what a job's folder asks for, step by step as docs/device.md numbers them.
 *
 * @param startRuntime starts the runtime, which loads native code: a failure belongs into the status like any other,
 *   the time into no measured load.
 */
class JobRunner(
    private val folder: JobFolder,
    private val startRuntime: () -> ProgramRuntime,
    private val phone: Phone,
    private val clock: Clock = Clock.System,
    listener: (JobStatus) -> Unit = {},
) {
    private val status = StatusFile(folder.status, clock, listener)

    /**
     * Runs the job, or the rest of one that was interrupted, and writes `results.json`.
     *
     * @throws InterruptedException where the thread was interrupted: the job stops between two images.
     * @throws Exception whatever else went wrong; `status.json` says it in one sentence.
     */
    fun run(): Results =
        try {
            runSteps().also { status.done() }
        } catch (error: Throwable) {
            // Errors too: a native library that cannot be linked must reach whoever polls the status.
            status.runCatching { failed(sentence(error)) }.onFailure(error::addSuppressed)
            throw error
        }

    private fun runSteps(): Results {
        val spec = folder.open()
        status.running(0, spec.images.size)
        val runtime = startRuntime()
        Release.refuseNewer(spec.executorch, runtime.version)
        val beforeC = phone.temperatureC()
        val (program, loadMs) = load(spec, runtime)
        program.use {
            val input = NetworkInput.of(spec.input, spec.normalization)
            val images = runImages(spec, program, input)
            val reruns = spec.reruns.map { runImage(spec, program, input, it) }
            val coolDown = CoolDown(phone, clock)
            val timesMs = time(spec, program, input, coolDown)
            val results =
                Results(
                    created = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString(),
                    job = spec.id,
                    programSha256 = spec.program.sha256,
                    complete = true,
                    device = phone.description,
                    runtime = RuntimeDescription(runtime.version, spec.threads),
                    images = images,
                    reruns = reruns,
                    loadMs = loadMs,
                    latency = Latency(spec.warmup, timesMs, coolDown.pauses),
                    peakMemoryBytes = phone.peakMemoryBytes(),
                    thermal = thermal(beforeC, coolDown.worst),
                )
            folder.results.writeAtomically(ResultsFormat.write(results)) { ResultsFormat.read(it.readText()) }
            return results
        }
    }

    /** Step 2: the last load is the one that runs. */
    private fun load(
        spec: JobSpec,
        runtime: ProgramRuntime,
    ): Pair<Program, List<Double>> {
        val file = folder.program(spec)
        val times = mutableListOf<Double>()
        var program: Program? = null
        repeat(spec.loads) {
            program?.close()
            stopIfInterrupted()
            times += clock.millisecondsOf { program = runtime.load(file, spec.threads) }
        }
        return checkNotNull(program) to times
    }

    /** Step 3. */
    private fun runImages(
        spec: JobSpec,
        program: Program,
        input: NetworkInput,
    ): List<ImageLogits> =
        PartialResults.open(folder.partial, spec.images, spec.classes).use { partial ->
            while (partial.done < spec.images.size) {
                status.running(partial.done, spec.images.size)
                partial.append(runImage(spec, program, input, partial.done))
            }
            status.running(partial.done, spec.images.size)
            partial.read()
        }

    private fun runImage(
        spec: JobSpec,
        program: Program,
        input: NetworkInput,
        index: Int,
    ): ImageLogits {
        stopIfInterrupted()
        input.write(folder.pixels(spec, index))
        val logits = program.forward(input)
        if (logits.size != spec.classes) {
            throw InputException("The program gave ${logits.size} logits, job.json says ${spec.classes}.")
        }
        return ImageLogits(spec.images[index], logits)
    }

    /** Step 5. */
    private fun time(
        spec: JobSpec,
        program: Program,
        input: NetworkInput,
        coolDown: CoolDown,
    ): List<Double> {
        input.write(folder.pixels(spec, 0))
        repeat(spec.warmup) {
            stopIfInterrupted()
            program.forward(input)
        }
        return List(spec.repeats) {
            stopIfInterrupted()
            coolDown.await()
            clock.millisecondsOf { program.forward(input) }
        }
    }

    private fun thermal(
        beforeC: Double?,
        worst: ThermalStatus?,
    ): Thermal? =
        Thermal(beforeC, phone.temperatureC(), worst?.word)
            .takeUnless { it.beforeC == null && it.afterC == null && it.status == null }

    private fun stopIfInterrupted() {
        if (Thread.interrupted()) throw InterruptedException()
    }

    private companion object {
        const val INTERRUPTED = "The app left the screen; start the job again, it goes on where it stopped."

        const val NO_SPACE =
            "The phone has no space left; free some and start the job again, it goes on where it stopped."

        fun sentence(error: Throwable): String {
            val message =
                error.message
                    .orEmpty()
                    .lineSequence()
                    .first()
            return when {
                error is InputException -> message
                error is InterruptedException -> INTERRUPTED
                "ENOSPC" in message || "No space left" in message -> NO_SPACE
                else -> "${error.javaClass.simpleName}: $message"
            }
        }
    }
}
