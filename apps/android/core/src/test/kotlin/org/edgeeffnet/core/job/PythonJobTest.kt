package org.edgeeffnet.core.job

import org.edgeeffnet.core.json.JsonFields
import org.junit.Assume.assumeTrue
import org.junit.Test
import java.io.File

/** A job that Python wrote, `-Djob=FOLDER`: the Python tests pass one, and read the results. */
class PythonJobTest {
    @Test
    fun `it is read and done`() {
        val path = System.getProperty("job")
        assumeTrue(path != null)
        val id = JobId.parse(JsonFields.parse(File(path, "job.json").readText(), "job.json").text("id"))
        val runtime = FakeRuntime(classes = 3)
        JobRunner(JobFolder(File(path), id), { runtime }, FakePhone(ThermalStatus.NONE)).run()
    }
}
