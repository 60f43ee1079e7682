package org.edgeeffnet.app.camera

import androidx.camera.core.CameraState
import org.edgeeffnet.app.R

/** The sentence, a string resource, for why CameraX cannot open the camera or lost it. */
fun CameraState.StateError.sentence(): Int =
    when (code) {
        CameraState.ERROR_CAMERA_IN_USE, CameraState.ERROR_MAX_CAMERAS_IN_USE -> R.string.camera_in_use
        CameraState.ERROR_CAMERA_DISABLED -> R.string.camera_disabled
        CameraState.ERROR_DO_NOT_DISTURB_MODE_ENABLED -> R.string.camera_do_not_disturb
        CameraState.ERROR_STREAM_CONFIG -> R.string.camera_unsupported
        CameraState.ERROR_OTHER_RECOVERABLE_ERROR -> R.string.camera_retried
        // ERROR_CAMERA_FATAL_ERROR, and those of later releases.
        else -> R.string.camera_broken
    }
