import EdgeEffNetCore
import Foundation
import Observation
import UIKit

/// One job on its way to a results file.
@MainActor @Observable
final class JobRun {
    let folder: JobFolder
    private(set) var progress: RunProgress?
    private(set) var results: URL?
    private(set) var error: String?

    @ObservationIgnored private let engine: Engine
    private var task: Task<Void, Never>?

    init(folder: JobFolder, engine: Engine) {
        self.folder = folder
        self.engine = engine
        if FileManager.default.fileExists(atPath: folder.results.path) { results = folder.results }
    }

    var isRunning: Bool { task != nil }

    func start() {
        (progress, results, error) = (nil, nil, nil)
        // A locked phone suspends the app.
        UIApplication.shared.isIdleTimerDisabled = true
        task = Task {
            await run()
            UIApplication.shared.isIdleTimerDisabled = false
            task = nil
        }
    }

    /// Stops where it is; started again, it goes on there.
    func stop() {
        task?.cancel()
    }

    private func run() async {
        let (reports, continuation) = AsyncStream.makeStream(of: RunProgress.self, bufferingPolicy: .bufferingNewest(1))
        let listener = Task {
            for await report in reports { progress = report }
        }
        do {
            results = try await engine.run(folder, report: { continuation.yield($0) })
        } catch is CancellationError {
            error = "Stopped; started again, it goes on."
        } catch {
            self.error = error.localizedDescription
        }
        continuation.finish()
        await listener.value
        progress = nil
    }
}
