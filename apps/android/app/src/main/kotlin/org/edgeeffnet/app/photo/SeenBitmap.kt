package org.edgeeffnet.app.photo

import android.graphics.Bitmap
import android.graphics.Color
import org.edgeeffnet.core.photo.RgbImage.Companion.CHANNELS

/** A square of [side] x [side] pixels, RGB by row, to look at. */
fun seenBitmap(
    pixels: ByteArray,
    side: Int,
): Bitmap {
    val colours =
        IntArray(side * side) {
            fun channel(index: Int) = pixels[it * CHANNELS + index].toInt() and 0xFF
            Color.rgb(channel(0), channel(1), channel(2))
        }
    return Bitmap.createBitmap(colours, side, side, Bitmap.Config.ARGB_8888)
}
