package org.edgeeffnet.app.model

import android.content.Context
import org.edgeeffnet.core.InputException
import org.edgeeffnet.core.artifact.Manifest
import org.edgeeffnet.core.files.sha256
import java.io.File
import java.io.FileNotFoundException
import java.io.InputStream

/** The artifact in the app's assets; `edge-effnet deploy` puts it there. */
class Artifact(
    private val context: Context,
) {
    val manifest: Manifest = Manifest.parse(read("manifest.json").decodeToString())

    /** The contents of a file, [path] below the artifact's folder. */
    fun read(path: String): ByteArray = stream(path).use { it.readBytes() }

    /** The program as a file of its own: the runtime maps files, and an asset is none. Copied once. */
    fun programFile(): File {
        val file = File(context.noBackupFilesDir, "${manifest.programSha256}.pte")
        if (file.exists()) return file
        for (old in context.noBackupFilesDir.listFiles().orEmpty()) {
            if (old.extension == "pte") old.delete()
        }
        val unfinished = File(context.noBackupFilesDir, "unfinished.pte")
        stream(Manifest.PROGRAM).use { from -> unfinished.outputStream().use { from.copyTo(it) } }
        if (unfinished.inputStream().use(::sha256) != manifest.programSha256 || !unfinished.renameTo(file)) {
            throw InputException("${Manifest.PROGRAM} is not the program of manifest.json; deploy the artifact again.")
        }
        return file
    }

    private fun stream(path: String): InputStream =
        try {
            context.assets.open("model/$path")
        } catch (error: FileNotFoundException) {
            throw InputException(
                "The app has no model/$path; run `edge-effnet deploy FOLDER --app android` and build it again.",
                error,
            )
        }
}
