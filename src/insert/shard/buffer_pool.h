#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/bytes/bytes.h"

namespace vm::insert {

/// Buffers to be used again: a fresh one of some 100 KiB costs a page fault every 4 KiB. Thread-safe.
class BufferPool {
 public:
  /// Keeps at most `max_bytes` in all, and no buffer above a quarter of that.
  explicit BufferPool(size_t max_bytes) : max_bytes_(max_bytes) {}

  /// A buffer of any size with any contents: the last one given, an empty one when there is none.
  ByteBuffer Take() {
    MutexLock lock(mutex_);
    if (buffers_.empty()) return {};
    ByteBuffer buffer = std::move(buffers_.back());
    buffers_.pop_back();
    bytes_ -= buffer.capacity();
    return buffer;
  }
  void Give(ByteBuffer buffer) {
    const size_t size = buffer.capacity();
    if (size == 0 || size > max_bytes_ / 4) return;
    MutexLock lock(mutex_);
    if (bytes_ + size > max_bytes_) return;
    bytes_ += size;
    buffers_.push_back(std::move(buffer));
  }

 private:
  const size_t max_bytes_;
  Mutex mutex_;
  std::vector<ByteBuffer> buffers_ VM_GUARDED_BY(mutex_);
  size_t bytes_ VM_GUARDED_BY(mutex_) = 0;
};

/// A buffer of a pool that goes back at the end. Not thread-safe.
class PooledBuffer {
 public:
  /// `pool` may be null and must outlive this.
  explicit PooledBuffer(BufferPool* pool) : pool_(pool), bytes(pool == nullptr ? ByteBuffer() : pool->Take()) {}
  ~PooledBuffer() {
    if (pool_ != nullptr) pool_->Give(std::move(bytes));
  }
  PooledBuffer(const PooledBuffer&) = delete;
  PooledBuffer& operator=(const PooledBuffer&) = delete;

 private:
  BufferPool* const pool_;

 public:
  ByteBuffer bytes;  // As BufferPool::Take gives it.
};

}  // namespace vm::insert
