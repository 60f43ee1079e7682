import EdgeEffNetCore
import SwiftUI
import UniformTypeIdentifiers

/// The jobs on this device.
struct BenchmarkScreen: View {
    let engine: Engine

    @State private var jobs: [JobFolder] = []
    @State private var isImporting = false
    @State private var error: String?

    var body: some View {
        NavigationStack {
            List {
                if let error { Text(error).foregroundStyle(.red) }
                ForEach(jobs, id: \.url) { folder in
                    NavigationLink {
                        JobScreen(folder: folder, engine: engine)
                    } label: {
                        VStack(alignment: .leading) {
                            Text(folder.url.lastPathComponent)
                            Text("\(folder.job.images.count) images, \(folder.job.program.backend)")
                                .font(.footnote).foregroundStyle(.secondary)
                        }
                    }
                }
                .onDelete { indices in attempt { try indices.forEach { try JobStore.remove(jobs[$0]) } } }
            }
            .overlay {
                if jobs.isEmpty {
                    ContentUnavailableView(
                        "Import a job folder, or put it into this app's folder with Files or Finder.",
                        systemImage: "folder")
                }
            }
            .navigationTitle("Benchmark")
            .toolbar { Button("Import", systemImage: "square.and.arrow.down") { isImporting = true } }
            .refreshable { await reload() }
            .onAppear { attempt {} }
        }
        .fileImporter(isPresented: $isImporting, allowedContentTypes: [.folder]) { picked in
            attempt { _ = try JobStore.add(picked.get()) }
        }
    }

    private func reload() async {
        attempt {}
    }

    /// Does something to the jobs, shows them as they are then, or what went wrong.
    private func attempt(_ change: () throws -> Void) {
        error = nil
        do {
            try change()
            jobs = try JobStore.jobs()
        } catch {
            self.error = error.localizedDescription
        }
    }
}
