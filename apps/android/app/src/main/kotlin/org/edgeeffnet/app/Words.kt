package org.edgeeffnet.app

import org.edgeeffnet.core.artifact.SelfTestOutcome
import org.edgeeffnet.core.program.Classification

/** The likeliest classes, one a line, and the times. */
fun Classification.words(): String =
    ranking.joinToString("\n") { "%5.1f %%  %s".format(100 * it.probability, it.label) } +
        "\n\npreprocessing %.1f ms, network %.1f ms".format(preprocessMs, forwardMs)

/** The self-test's verdict, and what was found for each image. */
fun List<SelfTestOutcome>.words(): String {
    if (isEmpty()) return "Self-test: the artifact has no golden images."
    val verdict =
        if (all { it.passed }) {
            "Self-test passed: this phone gives the numbers that Python gave."
        } else {
            "Self-test FAILED."
        }
    return verdict + joinToString("") { "\n\n${it.words()}" }
}

private fun SelfTestOutcome.words(): String {
    val logits = if (logitsSqnrDb == Double.POSITIVE_INFINITY) "equal to the bit" else "%.1f dB".format(logitsSqnrDb)
    return "$image\npixels ${words(pixelsEqual)}, tensor ${words(tensorEqual)}, logits $logits"
}

private fun words(equal: Boolean) = if (equal) "equal" else "DIFFERENT"

/** Why something failed; the message of an `Error` is often no more than a name. */
fun Throwable.words(): String = message.takeIf { this !is Error } ?: toString()
