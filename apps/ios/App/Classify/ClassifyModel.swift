import EdgeEffNetCore
import Observation
import PhotosUI
import SwiftUI

/// What the classify screen shows.
@MainActor @Observable
final class ClassifyModel {
    private(set) var photo: UIImage?
    private(set) var classification: Classification?
    private(set) var error: String?

    let camera = Camera()

    @ObservationIgnored private let engine: Engine

    init(engine: Engine) {
        self.engine = engine
    }

    func classify(_ item: PhotosPickerItem) async {
        await show {
            guard let data = try await item.loadTransferable(type: Data.self) else {
                throw InputError("The photo could not be fetched; download it from iCloud first.")
            }
            photo = UIImage(data: data)
            classification = try await engine.classify(photo: data)
        }
    }

    /// Until the task is cancelled.
    func classifyCamera() async {
        photo = nil
        await show {
            for try await frame in camera.frames() {
                classification = try await engine.classify(frame: frame)
            }
        }
    }

    private func show(_ body: () async throws -> Void) async {
        (classification, error) = (nil, nil)
        do {
            try await body()
        } catch is CancellationError {
            return
        } catch {
            self.error = error.localizedDescription
        }
    }
}
