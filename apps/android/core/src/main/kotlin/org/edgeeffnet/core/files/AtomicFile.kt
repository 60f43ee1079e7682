package org.edgeeffnet.core.files

import java.io.File
import java.io.FileOutputStream
import java.io.IOException

/**
 * Writes [text] under another name, lets [verify] read it back, and renames it: who opens this file finds all of it or
 * nothing.
 *
 * @throws IOException where the folder is gone or full; nothing is left behind then.
 */
fun File.writeAtomically(
    text: String,
    verify: (File) -> Unit = {},
) {
    val unfinished = File(parentFile, "$name.tmp")
    try {
        FileOutputStream(unfinished).use {
            it.write(text.toByteArray())
            it.fd.sync()
        }
        verify(unfinished)
        if (!unfinished.renameTo(this)) throw IOException("$path: cannot be written.")
    } finally {
        unfinished.delete()
    }
}
