package org.edgeeffnet.core.photo

import org.edgeeffnet.core.GoldenVectors
import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.artifact.SelfTest
import org.edgeeffnet.core.json.JsonFields
import org.edgeeffnet.core.program.InputFormat
import org.edgeeffnet.core.program.InputSpec
import org.edgeeffnet.core.program.NetworkInput
import org.json.JSONArray
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class PreprocessTest {
    private class Case(
        val name: String,
        val image: RgbImage,
        val pixels: ByteArray,
        val tensor: FloatArray,
        val preprocess: Preprocess,
    )

    private val cases: List<Case> =
        run {
            val entries = JSONArray(GoldenVectors.text("preprocess/cases.json"))
            List(entries.length()) {
                val entry = JsonFields.parse(entries.getJSONObject(it).toString(), "cases.json")
                Case(
                    name = entry.text("photograph"),
                    image =
                        GoldenVectors
                            .file(
                                "preprocess/${entry.text("photograph")}",
                            ).inputStream()
                            .use(GoldenVectors::decode),
                    pixels = GoldenVectors.bytes("preprocess/${entry.text("pixels")}"),
                    tensor = SelfTest.floats(GoldenVectors.bytes("preprocess/${entry.text("input")}")),
                    preprocess = Preprocess.from(entry.fields("preprocess")),
                )
            }
        }

    @Test
    fun `every golden image gives Python's pixels`() {
        assertTrue(cases.isNotEmpty())
        for (case in cases) assertArrayEquals(case.name, case.pixels, case.preprocess.pixels(case.image))
    }

    @Test
    fun `every golden image gives Python's tensor to the bit`() {
        for (case in cases) {
            val input =
                NetworkInput.Float32(
                    InputSpec(
                        InputFormat.FLOAT32_NCHW,
                        case.preprocess.crop,
                        case.preprocess.normalization.channels,
                    ),
                    case.preprocess.normalization,
                )
            input.write(case.pixels)
            val found = FloatArray(case.tensor.size).also { input.data.duplicate().get(it) }
            assertArrayEquals(case.name, case.tensor, found, 0f)
        }
    }

    @Test
    fun `a uint8 input is the pixels, image after image`() {
        val input = NetworkInput.UInt8(InputSpec(InputFormat.UINT8_NHWC, 2))
        for (start in listOf(0, 100)) {
            val pixels = ByteArray(12) { (start + it).toByte() }
            input.write(pixels)
            assertArrayEquals(pixels, ByteArray(12).also { input.data.duplicate().get(it) })
        }
        assertThrows(InputException::class.java) { input.write(ByteArray(11)) }
    }

    @Test
    fun `alpha and the padding of rows are dropped, not blended`() {
        val rgba = byteArrayOf(1, 2, 3, 0, 4, 5, 6, 7, 99, 99, 7, 8, 9, 0, 10, 11, 12, -1, 99, 99)
        val image = RgbImage.fromRgba(2, 2, rgba, rowStride = 10)
        assertArrayEquals(ByteArray(12) { (it + 1).toByte() }, image.bytes)
    }

    @Test
    fun `no images are refused`() {
        val preprocess = cases.first().preprocess
        for ((width, height) in listOf(7 to 100, 8 to 300_000)) {
            val image = RgbImage(width, height, ByteArray(width * height * 3))
            assertThrows("$width x $height", InputException::class.java) { preprocess.pixels(image) }
        }
    }

    @Test
    fun `impossible settings are refused`() {
        val good = cases.first().preprocess
        assertThrows(InputException::class.java) { good.copy(crop = good.resize + 1) }
        assertThrows(InputException::class.java) { Interpolation.named("lanczos") }
        assertThrows(InputException::class.java) { Normalization(listOf(0.5, 0.5, 0.5), listOf(0.5, 0.0, 0.5)) }
        assertThrows(InputException::class.java) { Normalization(listOf(0.5, 0.5), listOf(0.5, 0.5)) }
    }
}
