import EdgeEffNetCore
import SwiftUI

/// Whether this device makes of the golden images what is expected of them.
struct SelfTestScreen: View {
    let engine: Engine

    @State private var checks: [GoldenCheck] = []
    @State private var isRunning = false
    @State private var error: String?

    var body: some View {
        NavigationStack {
            List {
                if let error { Text(error).foregroundStyle(.red) }
                ForEach(checks, id: \.image) { check in
                    Label {
                        VStack(alignment: .leading) {
                            Text(check.image)
                            Text(check.sentence).font(.footnote).foregroundStyle(.secondary)
                        }
                    } icon: {
                        Image(systemName: check.passed ? "checkmark.circle.fill" : "xmark.circle.fill")
                            .foregroundStyle(check.passed ? .green : .red)
                    }
                }
            }
            .overlay { if isRunning { ProgressView() } }
            .navigationTitle("Self-test")
            .toolbar { Button("Run") { Task { await run() } }.disabled(isRunning) }
            .task { await run() }
        }
    }

    private func run() async {
        (isRunning, error, checks) = (true, nil, [])
        do {
            checks = try await engine.selfTest()
        } catch {
            self.error = error.localizedDescription
        }
        isRunning = false
    }
}
