#if canImport(ObjectiveC)
import ObjectiveC
#endif

/// Frees Apple's autoreleased objects after each turn of a loop: left to the end of a run, a few hundred images
/// would count as its peak memory.
public func pooled<Result>(_ body: () throws -> Result) rethrows -> Result {
    #if canImport(ObjectiveC)
    return try autoreleasepool(invoking: body)
    #else
    return try body()
    #endif
}
