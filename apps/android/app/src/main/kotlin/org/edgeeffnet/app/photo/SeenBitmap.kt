package org.edgeeffnet.app.photo

import android.graphics.Bitmap
import android.graphics.Color

/** A square of [side] x [side] pixels, RGB or gray by row, to look at. */
fun seenBitmap(
    pixels: ByteArray,
    side: Int,
): Bitmap {
    val channels = pixels.size / (side * side)
    val colours =
        IntArray(side * side) {
            fun channel(index: Int) = pixels[it * channels + index % channels].toInt() and 0xFF
            Color.rgb(channel(0), channel(1), channel(2))
        }
    return Bitmap.createBitmap(colours, side, side, Bitmap.Config.ARGB_8888)
}
