package org.edgeeffnet.core

/**
 * Something that was handed over cannot be used: a file, a folder, a program or an image.
 *
 * Its message is one sentence for people: what was got, what is allowed, what to do next.
 */
class InputException(
    message: String,
    cause: Throwable? = null,
) : Exception(message, cause)
