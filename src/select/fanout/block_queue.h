#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <memory>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/bytes/bytes.h"
#include "lib/rpc/item_sink.h"

namespace vm::select {

/// Marshalled MetricBlocks one after the other.
class BlockBatch {
 public:
  void Add(ByteView metric_block) {
    Append(bytes_, metric_block);
    ends_.push_back(bytes_.size());
  }
  void Clear() {
    bytes_.clear();
    ends_.clear();
  }
  size_t size() const noexcept { return ends_.size(); }
  size_t bytes() const noexcept { return bytes_.size(); }
  /// Valid until the batch changes.
  ByteView operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return ByteView(bytes_).subspan(begin, ends_[i] - begin);
  }

 private:
  ByteBuffer bytes_;
  std::vector<size_t> ends_;
};

/// Carries the blocks of all nodes of a search to one consumer. When it is full, nodes wait. Thread-safe; one coroutine
/// at a time takes.
class BlockQueue : public rpc::ItemSink, public std::enable_shared_from_this<BlockQueue> {
 public:
  /// `strand` is the queue's own. The queue is full from `max_bytes` on; each node may add one block more.
  BlockQueue(boost::asio::any_io_executor strand, size_t max_bytes);

  Status Add(ByteView metric_block) override VM_EXCLUDES(mutex_);
  bool IsFull() const override { return is_full_.load(std::memory_order_relaxed); }
  /// Errors: kCancelled after Close.
  boost::asio::awaitable<Status> WaitForRoom() override;

  /// Wait for blocks and swap them into `batch`; false when there are no more and there will be none. Resumes on the
  /// executor of the caller.
  boost::asio::awaitable<bool> Take(BlockBatch& batch);
  /// Nobody will add anymore.
  void End() VM_EXCLUDES(mutex_);
  /// Drop what is there and refuse what comes.
  void Close() VM_EXCLUDES(mutex_);

 private:
  enum class Event : uint8_t { kRoom, kBlocks };

  boost::asio::awaitable<void> Wait(Event event);
  bool HasHappened(Event event) VM_EXCLUDES(mutex_);
  void Wake();

  const boost::asio::any_io_executor strand_;
  const size_t max_bytes_;
  boost::asio::steady_timer wake_;  // Strand only. All that wait, wait here.
  std::atomic<bool> is_full_{false};
  Mutex mutex_;
  BlockBatch blocks_ VM_GUARDED_BY(mutex_);
  size_t waiting_ VM_GUARDED_BY(mutex_) = 0;
  bool has_ended_ VM_GUARDED_BY(mutex_) = false;
  bool is_closed_ VM_GUARDED_BY(mutex_) = false;
};

}  // namespace vm::select
