package org.edgeeffnet.core.program

import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.json.JsonFields
import org.edgeeffnet.core.photo.RgbImage

/** How a program wants its images; [dtype] and [layout] are the words of `job.json` and `manifest.json`. */
enum class InputFormat(
    val dtype: String,
    val layout: String,
) {
    FLOAT32_NCHW("float32", "NCHW"),

    /** The program normalises itself: made with `--embed-preprocess`. */
    UINT8_NHWC("uint8", "NHWC"),
}

/** The input of a program: one image of [side] x [side] pixels of [channels] bytes in [format]. */
data class InputSpec(
    val format: InputFormat,
    val side: Int,
    val channels: Int = RgbImage.CHANNELS,
) {
    val shape: LongArray
        get() =
            when (format) {
                InputFormat.FLOAT32_NCHW -> longArrayOf(1, channels.toLong(), side.toLong(), side.toLong())
                InputFormat.UINT8_NHWC -> longArrayOf(1, side.toLong(), side.toLong(), channels.toLong())
            }

    companion object {
        /** Reads the object `input` of `job.json` or `manifest.json`. */
        fun from(fields: JsonFields): InputSpec {
            fields.exactly("shape", "dtype", "layout")
            val dtype = fields.text("dtype")
            val layout = fields.text("layout")
            val shape = fields.integers("shape")
            val format =
                InputFormat.entries.find { it.dtype == dtype && it.layout == layout }
                    ?: throw InputException("The program's input is $dtype $layout, need float32 NCHW or uint8 NHWC.")
            val channels = shape.getOrElse(if (format == InputFormat.FLOAT32_NCHW) 1 else 3) { 0 }
            val spec = InputSpec(format, shape.getOrElse(2) { 0 }, channels)
            if (channels !in listOf(1, RgbImage.CHANNELS) || spec.shape.toList() != shape.map(Int::toLong)) {
                throw InputException("The program's input is $shape, need one square image of three channels or one.")
            }
            return spec
        }
    }
}
