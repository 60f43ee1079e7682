#import <Foundation/Foundation.h>

NS_ASSUME_NONNULL_BEGIN

/// Replaces ExecuTorch's thread pool by one of `count` threads. No program may be loaded: XNNPACK keeps the pool that
/// it was loaded with.
///
/// @return The threads that the pool has now.
FOUNDATION_EXPORT NSInteger ResetThreadPool(NSInteger count);

NS_ASSUME_NONNULL_END
