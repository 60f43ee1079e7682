package org.edgeeffnet.app.job

import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import org.edgeeffnet.core.job.DeviceDescription
import org.edgeeffnet.core.job.Phone
import org.edgeeffnet.core.job.ThermalStatus
import org.edgeeffnet.core.job.peakResidentBytes
import java.io.File

/** What Android tells of this phone. */
class AndroidPhone(
    private val context: Context,
) : Phone {
    private val power = context.getSystemService(PowerManager::class.java)

    override val description =
        DeviceDescription(
            transport = "adb",
            name = "${Build.MANUFACTURER} ${Build.MODEL}",
            os = "Android ${Build.VERSION.RELEASE}",
            soc = soc(),
            abi = Build.SUPPORTED_ABIS.first(),
            emulated = Build.HARDWARE in EMULATORS,
        )

    override fun temperatureC(): Double? {
        val battery = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))
        val tenths = battery?.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, UNKNOWN) ?: UNKNOWN
        return if (tenths == UNKNOWN) null else tenths / 10.0
    }

    override fun thermalStatus(): ThermalStatus? =
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) {
            null
        } else {
            ThermalStatus.entries.getOrNull(power.currentThermalStatus)
        }

    override fun peakMemoryBytes(): Long? = peakResidentBytes(File("/proc/self/status").readText())

    private fun soc(): String =
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.S) {
            Build.HARDWARE
        } else {
            "${Build.SOC_MANUFACTURER} ${Build.SOC_MODEL}"
        }

    private companion object {
        const val UNKNOWN = Int.MIN_VALUE
        val EMULATORS = setOf("goldfish", "ranchu")
    }
}
