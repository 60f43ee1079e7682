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
  pool->_unsafe_reset_threadpool(static_cast<uint32_t>(count));
  return static_cast<NSInteger>(pool->get_thread_count());
}
