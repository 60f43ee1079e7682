package org.edgeeffnet.app.photo

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.net.Uri
import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.photo.RgbImage
import java.io.IOException
import java.nio.ByteBuffer

/**
 * Image files to upright pixels (docs/preprocessing.md, 1).
 *
 * `ImageDecoder` applies the EXIF orientation and leaves the colours as they are in the file, as Python does; reading
 * them by `Bitmap.getPixels` would convert them to sRGB.
 */
object PhotoDecoder {
    fun decode(file: ByteArray): RgbImage = decode(ImageDecoder.createSource(ByteBuffer.wrap(file)))

    fun decode(
        resolver: ContentResolver,
        uri: Uri,
    ): RgbImage = decode(ImageDecoder.createSource(resolver, uri))

    private fun decode(source: ImageDecoder.Source): RgbImage =
        try {
            val bitmap =
                ImageDecoder.decodeBitmap(source) { decoder, _, _ ->
                    decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
                    // Alpha is dropped, not blended: premultiplied colours would be darker ones.
                    decoder.isUnpremultipliedRequired = true
                }
            rgb(bitmap)
        } catch (error: IOException) {
            throw InputException("This is not an image that Android can read (${error.message}).", error)
        } catch (error: OutOfMemoryError) {
            throw InputException("The image has more pixels than fit into this app's memory; take another.", error)
        }

    private fun rgb(decoded: Bitmap): RgbImage {
        // Files of 16 bits a channel are decoded to half floats.
        val bitmap =
            if (decoded.config == Bitmap.Config.ARGB_8888) decoded else decoded.copy(Bitmap.Config.ARGB_8888, false)
        val rgba = ByteArray(bitmap.rowBytes * bitmap.height)
        bitmap.copyPixelsToBuffer(ByteBuffer.wrap(rgba))
        return RgbImage.fromRgba(bitmap.width, bitmap.height, rgba, bitmap.rowBytes)
    }
}
