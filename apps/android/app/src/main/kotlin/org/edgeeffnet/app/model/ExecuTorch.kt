package org.edgeeffnet.app.model

import org.edgeeffnet.app.BuildConfig
import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.program.NetworkInput
import org.edgeeffnet.core.program.Program
import org.edgeeffnet.core.program.ProgramRuntime
import org.pytorch.executorch.DType
import org.pytorch.executorch.EValue
import org.pytorch.executorch.ExecuTorchRuntime
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor
import java.io.File

/** The ExecuTorch runtime that this app is built with. */
class ExecuTorch : ProgramRuntime {
    // Asking for them loads the native library: before the first load of a program, whose time is measured.
    private val backends = ExecuTorchRuntime.getRegisteredBackends().toSet()

    override val version: String = BuildConfig.EXECUTORCH_VERSION

    /** @throws InputException where the program needs a backend that this app does not have. */
    override fun load(
        file: File,
        threads: Int,
    ): Program {
        val module = Module.load(file.path, Module.LOAD_MODE_MMAP, threads)
        try {
            refuseMissing(module.getMethodMetadata(FORWARD).backends.toSet() - backends)
            module.loadMethod(FORWARD)
        } catch (error: Throwable) {
            module.close()
            throw error
        }
        return LoadedProgram(module)
    }

    private fun refuseMissing(missing: Set<String>) {
        if (missing.isNotEmpty()) {
            throw InputException(
                "The program needs ${missing.joinToString()}, this app has ${backends.joinToString()}; " +
                    "make the program for one of them.",
            )
        }
    }

    private class LoadedProgram(
        private val module: Module,
    ) : Program {
        /** Locked until the logits are copied: they lie in memory that the next run overwrites. */
        @Synchronized
        override fun forward(input: NetworkInput): FloatArray {
            val tensor =
                when (input) {
                    is NetworkInput.Float32 -> Tensor.fromBlob(input.data, input.spec.shape)
                    is NetworkInput.UInt8 -> Tensor.fromBlobUnsigned(input.data, input.spec.shape)
                }
            val found = module.forward(EValue.from(tensor)).first().toTensor()
            return if (found.dtype() == DType.INT8) {
                found.dataAsByteArray.let { bytes -> FloatArray(bytes.size) { bytes[it].toFloat() } }
            } else {
                found.dataAsFloatArray
            }
        }

        override fun close() = module.close()
    }

    private companion object {
        const val FORWARD = "forward"
    }
}
