package org.edgeeffnet.app

import android.app.Application
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Deferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.async
import org.edgeeffnet.app.model.Model

/** Holds the model, which is loaded once, when the first screen asks for it. */
class ClassifierApp : Application() {
    val model: Deferred<Model> =
        MainScope().async(Dispatchers.IO, CoroutineStart.LAZY) { Model.load(this@ClassifierApp) }
}
