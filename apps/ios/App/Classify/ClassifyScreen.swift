import PhotosUI
import SwiftUI

/// A photo or the camera, the five best classes, and the times.
struct ClassifyScreen: View {
    @State private var model: ClassifyModel
    @State private var item: PhotosPickerItem?
    @State private var isLive = false

    init(engine: Engine) {
        _model = State(initialValue: ClassifyModel(engine: engine))
    }

    var body: some View {
        NavigationStack {
            VStack(spacing: 16) {
                picture
                    .frame(maxWidth: .infinity)
                    .aspectRatio(1, contentMode: .fit)
                    .clipShape(RoundedRectangle(cornerRadius: 12))
                if let error = model.error { Text(error).foregroundStyle(.red) }
                if let classification = model.classification { ClassificationTable(classification: classification) }
                Spacer()
            }
            .padding()
            .navigationTitle("Classify")
            .toolbar {
                // As it is stored: transcoding to JPEG would change the pixels.
                PhotosPicker(selection: $item, matching: .images, preferredItemEncoding: .current) {
                    Label("Photo", systemImage: "photo")
                }
                Toggle(isOn: $isLive) { Label("Camera", systemImage: "camera.viewfinder") }
            }
        }
        .task(id: item) {
            guard let item else { return }
            isLive = false
            await model.classify(item)
        }
        .task(id: isLive) {
            if isLive { await model.classifyCamera() }
        }
    }

    @ViewBuilder private var picture: some View {
        if isLive {
            CameraPreview(session: model.camera.session)
        } else if let photo = model.photo {
            Image(uiImage: photo).resizable().scaledToFit()
        } else {
            ContentUnavailableView("Choose a photo, or turn on the camera.", systemImage: "photo")
        }
    }
}
