package org.edgeeffnet.core.job

import org.edgeeffnet.core.files.sha256
import org.json.JSONArray
import org.json.JSONObject
import java.io.File

/** A job of five images of 8 x 8 pixels in files of two, as the host would copy it. */
class JobFixture(
    root: File,
) {
    val id = JobId.parse("0123456789abcdef")
    val path = File(root, id.digits).apply { mkdirs() }
    val folder = JobFolder.below(root, id)
    val spec: JSONObject

    init {
        File(path, "model.pte").writeText("a program")
        val sizes = listOf(2, 2, 1)
        val files =
            sizes.mapIndexed { index, count ->
                File(path, "pixels-%04d.u8".format(index)).apply {
                    writeBytes(ByteArray(count * STRIDE) { (2 * index + it / STRIDE).toByte() })
                }
            }
        spec =
            JSONObject()
                .put("schema", 1)
                .put("id", id.digits)
                .put("program", entry(File(path, "model.pte")).put("backend", "xnnpack").put("executorch", "1.4.1"))
                .put("input", JSONObject("""{"shape": [1, 3, 8, 8], "dtype": "float32", "layout": "NCHW"}"""))
                .put("output", JSONObject("""{"shape": [1, 2]}"""))
                .put("normalize", JSONObject("""{"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}"""))
                .put("pixels", JSONObject().put("side", 8).put("chunk", 2).put("files", JSONArray(files.map(::entry))))
                .put(
                    "photographs",
                    JSONArray(images.map { JSONObject().put("name", it.name).put("sha256", it.sha256) }),
                ).put("reruns", JSONArray())
                .put("threads", 1)
                .put("warmup", 2)
                .put("repeats", 4)
                .put("loads", 3)
        write()
    }

    fun write(change: JSONObject.() -> Unit = {}) = File(path, "job.json").writeText(spec.apply(change).toString())

    fun status() = JSONObject(File(path, "status.json").readText())

    private fun entry(file: File) =
        JSONObject()
            .put("file", file.name)
            .put("sha256", file.inputStream().use(::sha256))
            .put("bytes", file.length())

    companion object {
        const val STRIDE = 8 * 8 * 3
        val images = List(5) { JobImage("val/$it.jpg", "%064x".format(it)) }
    }
}
