package org.edgeeffnet.app

import android.graphics.Color
import android.view.View
import androidx.activity.ComponentActivity
import androidx.activity.SystemBarStyle
import androidx.activity.enableEdgeToEdge
import androidx.core.view.ViewCompat
import androidx.core.view.WindowInsetsCompat

/**
 * Draws behind the system's bars, as Android 15 and later make every app do, and keeps what the layout's `root` holds
 * clear of them and of the camera's cutout.
 */
fun ComponentActivity.drawBehindSystemBars() {
    // The theme is a light one whatever the phone's is, so the bars' icons have to be dark.
    val light = SystemBarStyle.light(Color.TRANSPARENT, Color.TRANSPARENT)
    enableEdgeToEdge(light, light)
    ViewCompat.setOnApplyWindowInsetsListener(findViewById<View>(R.id.root)) { view, insets ->
        val bars = WindowInsetsCompat.Type.systemBars() or WindowInsetsCompat.Type.displayCutout()
        val covered = insets.getInsets(bars)
        view.setPadding(covered.left, covered.top, covered.right, covered.bottom)
        WindowInsetsCompat.CONSUMED
    }
}
