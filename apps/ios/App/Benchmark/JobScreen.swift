import EdgeEffNetCore
import SwiftUI

/// One job: start it, watch it, share its results.
struct JobScreen: View {
    @State private var run: JobRun

    init(folder: JobFolder, engine: Engine) {
        _run = State(initialValue: JobRun(folder: folder, engine: engine))
    }

    var body: some View {
        List {
            Section("Job") {
                LabeledContent("Images", value: run.folder.job.images.count, format: .number)
                LabeledContent("Backend", value: run.folder.job.program.backend)
                LabeledContent("Threads", value: run.folder.job.threads, format: .number)
                LabeledContent("ExecuTorch", value: run.folder.job.program.executorch)
            }
            Section {
                if let progress = run.progress { ProgressRow(progress: progress) }
                if let error = run.error { Text(error).foregroundStyle(.red) }
                if run.isRunning {
                    Button("Stop", role: .destructive) { run.stop() }
                } else {
                    Button("Start") { run.start() }
                }
                if let results = run.results { ShareLink("Share results.json", item: results) }
            } footer: {
                Text("Leave the phone on the table, unplugged and without a case: a warm phone is a slow one.")
            }
        }
        .navigationTitle(run.folder.url.lastPathComponent)
        .navigationBarTitleDisplayMode(.inline)
        .navigationBarBackButtonHidden(run.isRunning)
    }
}

/// What a runner is doing.
private struct ProgressRow: View {
    let progress: RunProgress

    var body: some View {
        switch progress {
        case .verifying: ProgressView("Verifying the files")
        case .loading: ProgressView("Loading the program")
        case .images(let done, let of):
            ProgressView("Image \(done) of \(of)", value: Double(done), total: Double(of))
        case .timing(let done, let of): ProgressView("Timing \(done) of \(of)", value: Double(done), total: Double(of))
        case .cooling: ProgressView("The phone is too warm: waiting until it has cooled down")
        }
    }
}
