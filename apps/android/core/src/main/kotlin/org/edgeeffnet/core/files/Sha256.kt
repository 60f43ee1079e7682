package org.edgeeffnet.core.files

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.json.JsonFields
import java.io.File
import java.io.InputStream
import java.security.MessageDigest

/** SHA-256 of everything in [stream], 64 hexadecimal digits. */
fun sha256(stream: InputStream): String {
    val digest = MessageDigest.getInstance("SHA-256")
    val buffer = ByteArray(1 shl 16)
    while (true) {
        val count = stream.read(buffer)
        if (count < 0) break
        digest.update(buffer, 0, count)
    }
    return digest.digest().joinToString("") { "%02x".format(it) }
}

val SHA256_PATTERN = Regex("[0-9a-f]{64}")

/** The contents that a file must have. */
data class ExpectedFile(
    val name: String,
    val sha256: String,
    val bytes: Long,
) {
    /** @throws InputException where [folder] has no such file, or another one of that name. */
    fun verifyIn(folder: File) {
        val file = File(folder, name)
        if (!file.isFile) throw InputException("$name is missing; copy the folder again.")
        if (file.length() != bytes) {
            throw InputException("$name has ${file.length()} bytes, need $bytes: it was cut off; copy it again.")
        }
        if (file.inputStream().use(::sha256) != sha256) {
            throw InputException("$name has another SHA-256 than it should: it was changed; copy it again.")
        }
    }

    companion object {
        /** Reads `file`, `sha256` and `bytes`; [pattern] keeps the name inside its folder. */
        fun from(
            fields: JsonFields,
            pattern: Regex,
        ) = ExpectedFile(
            name = fields.matching("file", pattern),
            sha256 = fields.matching("sha256", SHA256_PATTERN),
            bytes = fields.long("bytes"),
        )
    }
}
