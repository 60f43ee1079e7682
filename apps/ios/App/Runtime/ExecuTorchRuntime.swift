import EdgeEffNetCore
import ExecuTorch
import Foundation

/// Programs on ExecuTorch, one at a time. Neither `Module` nor the thread pool is thread-safe: an `Engine` owns it.
final class ExecuTorchRuntime: ProgramRuntime {
    let version = ExecuTorchVersion.linked
    let backends: Set<String> = ["coreml", "portable", "xnnpack"]

    private var module: Module?

    func load(_ program: URL, threads: Int) throws -> Int {
        module = nil  // before the pool that it may hold goes
        let granted = ResetThreadPool(threads)
        // Mapped: XNNPACK packs the weights into memory of its own, a second copy would only count as peak memory.
        let module = Module(filePath: program.path, loadMode: .mmap)
        do {
            try module.load("forward")
        } catch {
            throw InputError("\(program.lastPathComponent) cannot be loaded: \(error.localizedDescription)")
        }
        self.module = module
        return granted
    }

    func prepare(_ input: ModelInput) -> AnyTensor {
        AnyTensor(data: input.bytes, shape: input.shape, dataType: input.dtype == .float32 ? .float : .byte)
    }

    func forward(_ input: AnyTensor) throws -> [Float] {
        guard let module else { preconditionFailure("forward without a program") }
        let outputs: [Value] = try module.forward([input])
        if let numbers: Tensor<Float> = outputs.first?.tensor() { return numbers.scalars() }
        guard let numbers: Tensor<Int8> = outputs.first?.tensor() else {
            throw InputError("The program's output is neither a float32 nor an int8 tensor; regenerate it.")
        }
        return numbers.scalars().map(Float.init)
    }
}
