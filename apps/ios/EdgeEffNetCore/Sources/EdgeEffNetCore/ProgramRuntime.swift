import Foundation

/// What runs a program: ExecuTorch in the app, a double in the tests.
public protocol ProgramRuntime {
    /// An input that is ready to run.
    associatedtype PreparedInput

    var version: ExecuTorchVersion { get }
    /// Names of the backends that are linked, as `quantize --backend` calls them.
    var backends: Set<String> { get }

    /// Loads a program until it can run; the one before is dropped.
    ///
    /// - Returns: the threads that it will use.
    func load(_ program: URL, threads: Int) throws -> Int
    func prepare(_ input: ModelInput) -> PreparedInput
    /// One forward: the logits of one image.
    func forward(_ input: PreparedInput) throws -> [Float]
}

extension ProgramRuntime {
    /// - Throws: `InputError` if a program cannot run here, before it is tried.
    public func requireSupport(executorch: String, backend: String) throws {
        guard ExecuTorchVersion(executorch) <= version else {
            throw InputError(
                "The program was made by ExecuTorch \(executorch), this app runs \(version); "
                    + "export it with \(version) or build a newer app.")
        }
        guard backends.contains(backend) else {
            throw InputError(
                "The program is for the backend \"\(backend)\", this app has "
                    + "\(backends.sorted().joined(separator: ", ")); quantize for one of those.")
        }
    }
}
