package org.edgeeffnet.core.job

import org.edgeeffnet.core.program.NetworkInput
import org.edgeeffnet.core.program.Program
import org.edgeeffnet.core.program.ProgramRuntime
import java.io.File

/** Gives the first value of its input, and counts; [noise] makes a forward, counted from 0, give another. */
class FakeRuntime(
    private val classes: Int = 2,
    private val noise: (Int) -> Float = { 0f },
    private val onForward: (Int) -> Unit = {},
) : ProgramRuntime {
    override val version = "1.4.1"
    var loads = 0
    var unclosed = 0
    var forwards = 0

    override fun load(
        file: File,
        threads: Int,
    ): Program {
        loads++
        unclosed++
        return object : Program {
            override fun forward(input: NetworkInput): FloatArray {
                val number = forwards++
                onForward(number)
                val first =
                    when (input) {
                        is NetworkInput.Float32 -> input.data.get(0) * 255
                        is NetworkInput.UInt8 -> (input.data.get(0).toInt() and 0xFF).toFloat()
                    }
                return FloatArray(classes) { first + noise(number) }
            }

            override fun close() {
                unclosed--
            }
        }
    }
}

/** A phone that reports [statuses], one a question, the last one for ever. */
class FakePhone(
    private vararg val statuses: ThermalStatus?,
) : Phone {
    private var asked = 0

    override val description = DeviceDescription("adb", "Test", "Android 15", "soc", "arm64-v8a", false)

    override fun temperatureC() = 30.5

    override fun thermalStatus() = statuses.getOrNull(asked++) ?: statuses.lastOrNull()

    override fun peakMemoryBytes() = 1L shl 20
}

/** A clock that jumps ahead when it is told to sleep. */
class FakeClock : Clock {
    private var now = 0L
    var slept = 0L

    override fun nanos(): Long {
        now += 1_000_000
        return now
    }

    override fun sleep(milliseconds: Long) {
        slept += milliseconds
        now += milliseconds * 1_000_000
    }
}
