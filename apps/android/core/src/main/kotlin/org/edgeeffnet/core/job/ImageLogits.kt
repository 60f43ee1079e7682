package org.edgeeffnet.core.job

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.files.SHA256_PATTERN
import org.edgeeffnet.core.json.JsonFields
import org.json.JSONObject
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.Base64

/** What the program gave for one image: an entry of `results.json`, a line of `partial.jsonl`. */
class ImageLogits(
    val image: JobImage,
    val logits: FloatArray,
) {
    fun toJson(): JSONObject =
        JSONObject()
            .put("name", image.name)
            .put("sha256", image.sha256)
            .put("logits", encode(logits))

    companion object {
        fun from(fields: JsonFields): ImageLogits {
            fields.exactly("name", "sha256", "logits")
            val image = JobImage(fields.text("name"), fields.matching("sha256", SHA256_PATTERN))
            return ImageLogits(image, decode(fields.text("logits")))
        }

        /** Little-endian float32 in base64: text that keeps every bit. */
        private fun encode(logits: FloatArray): String {
            val bytes = ByteBuffer.allocate(logits.size * Float.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN)
            bytes.asFloatBuffer().put(logits)
            return Base64.getEncoder().encodeToString(bytes.array())
        }

        private fun decode(text: String): FloatArray {
            val bytes =
                try {
                    Base64.getDecoder().decode(text)
                } catch (error: IllegalArgumentException) {
                    throw InputException("\"logits\" is no base64 (${error.message}).", error)
                }
            if (bytes.isEmpty() || bytes.size % Float.SIZE_BYTES != 0) {
                throw InputException("\"logits\" has ${bytes.size} bytes, need float32 numbers.")
            }
            val numbers = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
            return FloatArray(numbers.remaining()).also { numbers.get(it) }
        }
    }
}
