package org.edgeeffnet.core.job

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.files.SHA256_PATTERN
import org.edgeeffnet.core.json.JsonFields
import org.json.JSONArray
import org.json.JSONObject

/** Results as JSON, there and back. */
object ResultsFormat {
    private const val SCHEMA = 1
    private const val MAX_WORDS = 200
    private val TRANSPORTS = listOf("host", "arm64", "ssh", "adb", "ios")

    fun write(results: Results): String =
        JSONObject()
            .put("schema", SCHEMA)
            .put("created", results.created)
            .put("job", results.job.digits)
            .put("program_sha256", results.programSha256)
            .put("complete", results.complete)
            .put("device", device(results.device))
            .put("runtime", runtime(results.runtime))
            .put("photographs", JSONArray(results.images.map { it.toJson() }))
            .put("reruns", JSONArray(results.reruns.map { it.toJson() }))
            .put("load_ms", JSONArray(results.loadMs))
            .put("latency", latency(results.latency))
            .put("peak_memory_bytes", results.peakMemoryBytes ?: JSONObject.NULL)
            .put("thermal", results.thermal?.let(::thermal) ?: JSONObject.NULL)
            .toString()

    private fun device(device: DeviceDescription) =
        JSONObject()
            .put("transport", device.transport)
            .put("name", device.name.take(MAX_WORDS))
            .put("os", device.os.take(MAX_WORDS))
            .put("soc", device.soc.take(MAX_WORDS))
            .put("abi", device.abi.take(MAX_WORDS))
            .put("emulated", device.emulated)

    private fun runtime(runtime: RuntimeDescription) =
        JSONObject()
            .put("version", runtime.version)
            .put("threads", runtime.threads)

    private fun latency(latency: Latency) =
        JSONObject()
            .put("warmup", latency.warmup)
            .put("times_ms", JSONArray(latency.timesMs))
            .put("pauses", latency.pauses)

    private fun thermal(thermal: Thermal) =
        JSONObject()
            .put("before_c", thermal.beforeC ?: JSONObject.NULL)
            .put("after_c", thermal.afterC ?: JSONObject.NULL)
            .put("status", thermal.status ?: JSONObject.NULL)

    /** @throws InputException where [text] is cut off or breaks the schema; the message names the key. */
    fun read(text: String): Results {
        val fields = JsonFields.parse(text, "results.json")
        val schema = fields.integer("schema")
        if (schema != SCHEMA) throw InputException("results.json has schema $schema, need $SCHEMA.")
        fields.exactly(
            "schema",
            "created",
            "job",
            "program_sha256",
            "complete",
            "device",
            "runtime",
            "photographs",
            "reruns",
            "load_ms",
            "latency",
            "peak_memory_bytes",
            "thermal",
        )
        return Results(
            created = fields.text("created"),
            job = JobId.parse(fields.text("job")),
            programSha256 = fields.matching("program_sha256", SHA256_PATTERN),
            complete = fields.flag("complete"),
            device = device(fields.fields("device")),
            runtime = runtime(fields.fields("runtime")),
            images = fields.list("photographs").map(ImageLogits::from),
            reruns = fields.list("reruns", least = 0).map(ImageLogits::from),
            loadMs = times(fields, "load_ms"),
            latency = latency(fields.fields("latency")),
            peakMemoryBytes = fields.longOrNull("peak_memory_bytes"),
            thermal = fields.fieldsOrNull("thermal")?.let(::thermal),
        )
    }

    private fun device(fields: JsonFields): DeviceDescription {
        fields.exactly("transport", "name", "os", "soc", "abi", "emulated")
        return DeviceDescription(
            transport = fields.matching("transport", Regex(TRANSPORTS.joinToString("|"))),
            name = fields.text("name"),
            os = fields.text("os"),
            soc = fields.text("soc"),
            abi = fields.text("abi"),
            emulated = fields.flag("emulated"),
        )
    }

    private fun runtime(fields: JsonFields): RuntimeDescription {
        fields.exactly("version", "threads")
        return RuntimeDescription(fields.text("version"), fields.integer("threads", 1..256))
    }

    private fun latency(fields: JsonFields): Latency {
        fields.exactly("warmup", "times_ms", "pauses")
        return Latency(fields.integer("warmup"), times(fields, "times_ms"), fields.integer("pauses"))
    }

    private fun thermal(fields: JsonFields): Thermal {
        fields.exactly("before_c", "after_c", "status")
        return Thermal(fields.numberOrNull("before_c"), fields.numberOrNull("after_c"), fields.textOrNull("status"))
    }

    private fun times(
        fields: JsonFields,
        key: String,
    ): List<Double> =
        fields.numbers(key).onEach {
            if (it <=
                0
            ) {
                throw InputException("results.json: \"$key\" has $it, need ms above 0.")
            }
        }
}
