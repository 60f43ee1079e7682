// Stands alone, for it is copied into other projects (docs/own-app.md): no version catalog, and of the Kotlin plugin the
// version that the project's root script names.
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    kotlin("jvm")
}

// No toolchain: a project that runs Gradle on a newer JDK may have no way to download this one.
kotlin {
    compilerOptions {
        jvmTarget = JvmTarget.JVM_17
    }
}

java {
    sourceCompatibility = JavaVersion.VERSION_17
    targetCompatibility = JavaVersion.VERSION_17
}

dependencies {
    // Android brings org.json itself.
    compileOnly("org.json:json:20250107")

    testImplementation("org.json:json:20250107")
    testImplementation("junit:junit:4.13.2")
}

tasks.test {
    // Of a clone; elsewhere the tests that need it are skipped.
    val golden = rootDir.resolve("../../tests/golden")
    if (golden.isDirectory) systemProperty("golden", golden.path)
}
