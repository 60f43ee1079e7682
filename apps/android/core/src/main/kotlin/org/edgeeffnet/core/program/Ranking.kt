package org.edgeeffnet.core.program

import kotlin.math.exp

/** A class that the network considers, and the [probability] that it gives it. */
data class Ranked(
    val label: String,
    val probability: Double,
)

/** The [count] likeliest of [labels], likeliest first; softmax over [logits]. */
fun rank(
    logits: FloatArray,
    labels: List<String>,
    count: Int = 5,
): List<Ranked> {
    require(logits.size == labels.size) { "${logits.size} logits for ${labels.size} labels." }
    val probabilities = softmax(logits)
    return probabilities.indices
        .sortedByDescending { probabilities[it] }
        .take(count)
        .map { Ranked(labels[it], probabilities[it]) }
}

/** The greatest logit is subtracted first, so that none overflows. */
fun softmax(logits: FloatArray): DoubleArray {
    val greatest = logits.max()
    val exponentials = DoubleArray(logits.size) { exp(logits[it].toDouble() - greatest) }
    val sum = exponentials.sum()
    return DoubleArray(logits.size) { exponentials[it] / sum }
}
