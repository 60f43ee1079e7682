/// What the network says about one picture, and how long each step took.
struct Classification: Sendable {
    struct Candidate: Sendable {
        let label: String
        let probability: Float
    }

    /// The best one first.
    let candidates: [Candidate]
    /// Nil for a camera frame, which comes decoded.
    let decodeMs: Double?
    let preprocessMs: Double
    let forwardMs: Double
}
