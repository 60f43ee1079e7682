package org.edgeeffnet.core.photo

import org.edgeeffnet.core.InputException
import kotlin.math.abs

/** A resampling kernel: what a neighbour at distance `x` weighs, zero from [radius] on (docs/preprocessing.md, 2). */
enum class Interpolation(
    val radius: Double,
) {
    BILINEAR(1.0) {
        override fun weight(x: Double): Double = if (abs(x) < 1.0) 1.0 - abs(x) else 0.0
    },
    BICUBIC(2.0) {
        override fun weight(x: Double): Double {
            val t = abs(x)
            return when {
                t < 1.0 -> ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0
                t < 2.0 -> (((t - 5.0) * t + 8.0) * t - 4.0) * A
                else -> 0.0
            }
        }
    }, ;

    abstract fun weight(x: Double): Double

    companion object {
        private const val A = -0.5

        fun named(name: String): Interpolation =
            entries.find { it.name.lowercase() == name }
                ?: throw InputException(
                    "Unknown interpolation \"$name\"; choose one of ${entries.joinToString { it.name.lowercase() }}.",
                )
    }
}
