#import "ThreadPool.h"

#include <cstddef>
#include <cstdint>

// The pool is linked with the XNNPACK backend, but the Swift package ships no header of it. These are the parts of
// extension/threadpool/threadpool.h that are called here; a release that changes them fails to link.
namespace executorch::extension::threadpool {

class ThreadPool final {
 public:
  size_t get_thread_count() const;
  bool _unsafe_reset_threadpool(uint32_t num_threads);
};

ThreadPool *get_threadpool();

}  // namespace executorch::extension::threadpool

NSInteger ResetThreadPool(NSInteger count) {
  auto *pool = executorch::extension::threadpool::get_threadpool();
  if (pool == nullptr) {
    return 1;
  }
#ifndef EDGE_EFFNET_KEEP_THREADPOOL
  // ExecuTorch marks the call as experimental and names UseNThreadsThreadPoolGuard instead, which no public release has
  // (1.4.1's threadpool_guard.h does not). It is not thread-safe: `Engine` calls it with no program loaded, and only
  // where the count changes. For a release without the call, define EDGE_EFFNET_KEEP_THREADPOOL.
  if (pool->get_thread_count() != static_cast<size_t>(count)) {
    pool->_unsafe_reset_threadpool(static_cast<uint32_t>(count));
  }
#endif
  return static_cast<NSInteger>(pool->get_thread_count());
}
