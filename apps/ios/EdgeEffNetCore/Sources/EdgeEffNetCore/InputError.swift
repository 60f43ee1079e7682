import Foundation

/// Something that whoever uses the app can put right: one sentence that says what was got and what to do next.
public struct InputError: LocalizedError, Equatable {
    public let message: String

    public init(_ message: String) {
        self.message = message
    }

    public var errorDescription: String? { message }
}
