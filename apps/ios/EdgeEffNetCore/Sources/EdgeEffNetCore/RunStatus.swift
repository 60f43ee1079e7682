import Foundation

/// `status.json`: how far a run is.
public struct RunStatus: Codable, Equatable, Sendable {
    public enum State: String, Codable, Sendable { case running, done, failed }

    public let state: State
    public let done: Int
    public let of: Int
    /// One sentence, of a run that failed.
    @Nullable public var error: String?

    func write(to url: URL) throws {
        try StrictJSON.encode(self).write(to: url, options: .atomic)
    }
}
