plugins {
    id("com.android.application") version "8.9.0"
    kotlin("android") version "2.1.20"
}

android {
    namespace = "vision"
    compileSdk = 35
    defaultConfig {
        applicationId = "vision.sample"
        minSdk = 28 // ImageDecoder
        targetSdk = 35
    }
    androidResources { noCompress += "tflite" }
}

kotlin { jvmToolchain(17) }

dependencies { implementation("com.google.ai.edge.litert:litert:1.4.0") }
