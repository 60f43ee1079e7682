plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.edgeeffnet.app"
    compileSdk = 36

    defaultConfig {
        applicationId = "org.edgeeffnet.app"
        minSdk = 28
        targetSdk = 36
        versionCode = 1
        versionName = "0.2.0"
        ndk {
            // ExecuTorch has no others: a store then offers the app to no 32-bit phone, where it could load no program.
            abiFilters += listOf("arm64-v8a", "x86_64")
        }
        buildConfigField("String", "EXECUTORCH_VERSION", "\"${libs.versions.executorch.get()}\"")
    }

    buildFeatures {
        buildConfig = true
    }
}

kotlin {
    jvmToolchain(17)
}

/** Of the program that `deploy` put there: the CPU's library, the GPU's or the NPU's goes with it. */
val backend =
    providers
        .fileContents(layout.projectDirectory.file("src/main/assets/model/manifest.json"))
        .asText
        .map { Regex(""""backend": "(\w+)"""").find(it)?.groupValues?.get(1).orEmpty() }
        .getOrElse("")

dependencies {
    implementation(project(":core"))
    when (backend) {
        "vulkan" -> {
            implementation(libs.executorch.vulkan)
        }

        "qnn" -> {
            implementation(libs.executorch.qnn)
            implementation(libs.qnn.runtime)
        }

        else -> {
            implementation(libs.executorch)
        }
    }
    implementation(libs.activity)
    implementation(libs.camera.camera2)
    implementation(libs.camera.lifecycle)
    implementation(libs.camera.view)
    implementation(libs.core)
    implementation(libs.coroutines)
    implementation(libs.lifecycle)
    implementation(libs.viewmodel)
}
