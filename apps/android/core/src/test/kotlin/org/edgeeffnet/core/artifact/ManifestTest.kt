package org.edgeeffnet.core.artifact

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.program.InputFormat
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class ManifestTest {
    private fun manifest(change: JSONObject.() -> Unit = {}): String =
        JSONObject(
            """
            {"schema": 1, "variant": "b0", "classes": ["cat", "dog"],
             "preprocess": {"crop": 4, "resize": 5, "interpolation": "bicubic",
                            "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
             "input": {"shape": [1, 3, 4, 4], "dtype": "float32", "layout": "NCHW"},
             "versions": {"executorch": "1.4.1"},
             "files": {"model.pte": {"sha256": "${"ab".repeat(32)}", "bytes": 7}},
             "golden_photographs": [{"photograph": "golden/p0.png", "pixels": "golden/p0.u8",
                                     "input": "golden/p0.input.f32", "output": "golden/p0.output.f32"}]}
            """,
        ).apply(change).toString()

    @Test
    fun `what the app needs is read`() {
        val read = Manifest.parse(manifest())
        assertEquals(listOf("cat", "dog"), read.classes)
        assertEquals(InputFormat.FLOAT32_NCHW, read.input.format)
        assertEquals(listOf(1L, 3L, 4L, 4L), read.input.shape.toList())
        assertEquals("golden/p0.png", read.golden.single().image)
        assertEquals("1.4.1", read.executorch)
    }

    @Test
    fun `a program that normalises itself reads uint8 NHWC`() {
        val input = JSONObject("""{"shape": [1, 4, 4, 3], "dtype": "uint8", "layout": "NHWC"}""")
        val read = Manifest.parse(manifest { put("input", input) })
        assertEquals(InputFormat.UINT8_NHWC, read.input.format)
        assertEquals(listOf(1L, 4L, 4L, 3L), read.input.shape.toList())
    }

    @Test
    fun `an artifact without golden images can be used`() {
        val changes: List<JSONObject.() -> Unit> =
            listOf({ remove("golden_photographs") }, { put("golden_photographs", JSONArray()) })
        for (change in changes) {
            assertEquals(emptyList<GoldenImage>(), Manifest.parse(manifest(change)).golden)
        }
    }

    @Test
    fun `contradictions and paths that leave the artifact are refused`() {
        val changes: List<JSONObject.() -> Unit> =
            listOf(
                { put("schema", 2) },
                { getJSONObject("preprocess").put("crop", 3) },
                { getJSONObject("input").put("layout", "NHWC") },
                { getJSONObject("input").getJSONArray("shape").put(1, 1) },
                { getJSONArray("golden_photographs").getJSONObject(0).put("output", "golden/../../secret") },
                { remove("classes") },
            )
        for (change in changes) assertThrows(InputException::class.java) { Manifest.parse(manifest(change)) }
    }
}
