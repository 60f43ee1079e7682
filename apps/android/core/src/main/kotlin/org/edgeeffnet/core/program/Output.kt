package org.edgeeffnet.core.program

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.json.JsonFields
import kotlin.math.exp

/** What a program's numbers are (docs/manifest.md, `output`). */
enum class OutputKind {
    LOGITS,
    SOFTMAX,
    SIGMOID,
}

/** How to read what a program puts out: int8 numbers stand for `scale * (number - zeroPoint)`. */
data class Output(
    val kind: OutputKind = OutputKind.LOGITS,
    val scale: Double = 1.0,
    val zeroPoint: Int = 0,
) {
    /** The probability of each class. */
    fun probabilities(numbers: FloatArray): DoubleArray {
        val values = DoubleArray(numbers.size) { scale * (numbers[it].toDouble() - zeroPoint) }
        return if (kind == OutputKind.LOGITS) softmax(values) else values
    }

    companion object {
        /** Reads the object `output` of `manifest.json`. */
        fun from(fields: JsonFields): Output {
            val int8 = fields.text("dtype") == "int8"
            return Output(
                kind = if (fields.has("kind")) kind(fields.text("kind")) else OutputKind.LOGITS,
                scale = if (int8) fields.numberOrNull("scale") ?: 1.0 else 1.0,
                zeroPoint = if (int8) fields.integer("zero_point", -128..127) else 0,
            )
        }

        private fun kind(name: String): OutputKind =
            OutputKind.entries.find { it.name.lowercase() == name }
                ?: throw InputException("The program puts out \"$name\", which this app does not know; update it.")
    }
}

fun softmax(logits: FloatArray): DoubleArray = softmax(DoubleArray(logits.size) { logits[it].toDouble() })

/** The greatest logit is subtracted first, so that none overflows. */
fun softmax(logits: DoubleArray): DoubleArray {
    val greatest = logits.max()
    val exponentials = DoubleArray(logits.size) { exp(logits[it] - greatest) }
    val sum = exponentials.sum()
    return DoubleArray(logits.size) { exponentials[it] / sum }
}
