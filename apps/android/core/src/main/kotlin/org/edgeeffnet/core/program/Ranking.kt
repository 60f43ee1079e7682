package org.edgeeffnet.core.program

/** A class that the network considers, and the [probability] that it gives it. */
data class Ranked(
    val label: String,
    val probability: Double,
)

/** The [count] likeliest of [labels], likeliest first, of the [numbers] that a program put out. */
fun rank(
    numbers: FloatArray,
    labels: List<String>,
    count: Int = 5,
    output: Output = Output(),
): List<Ranked> {
    require(numbers.size == labels.size) { "${numbers.size} numbers for ${labels.size} labels." }
    val probabilities = output.probabilities(numbers)
    return probabilities.indices
        .sortedByDescending { probabilities[it] }
        .take(count)
        .map { Ranked(labels[it], probabilities[it]) }
}
