plugins {
    alias(libs.plugins.kotlin.jvm)
}

kotlin {
    jvmToolchain(17)
}

dependencies {
    // Android brings org.json itself.
    compileOnly(libs.json)

    testImplementation(libs.json)
    testImplementation(libs.junit)
}

tasks.test {
    systemProperty("golden", rootDir.resolve("../../tests/golden").path)
}
