import SwiftUI

/// The best classes and the time of each step.
struct ClassificationTable: View {
    let classification: Classification

    var body: some View {
        Grid(alignment: .leading, horizontalSpacing: 16, verticalSpacing: 8) {
            ForEach(Array(classification.candidates.enumerated()), id: \.offset) { _, candidate in
                GridRow {
                    Text(candidate.label)
                    ProgressView(value: Double(candidate.probability))
                    Text(candidate.probability, format: .percent.precision(.fractionLength(1))).monospacedDigit()
                }
            }
        }
        Text(times).font(.footnote).foregroundStyle(.secondary).monospacedDigit()
    }

    private var times: String {
        let steps: [(name: String, milliseconds: Double?)] = [
            ("decode", classification.decodeMs), ("preprocess", classification.preprocessMs),
            ("network", classification.forwardMs),
        ]
        return steps.compactMap { step in
            step.milliseconds.map { "\(step.name) \($0.formatted(.number.precision(.fractionLength(1)))) ms" }
        }
        .joined(separator: " · ")
    }
}
