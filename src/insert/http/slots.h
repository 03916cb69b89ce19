#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>

#include "lib/base/mutex.h"
#include "lib/base/result.h"
#include "lib/metrics/metrics.h"

namespace vm::insert {

/// Requests that may be worked on at the same time (-maxConcurrentInserts); the others wait in the order they came. Thread-safe.
class Slots {
 public:
  /// Registers the vm_concurrent_insert_* metrics.
  Slots(size_t count, std::chrono::milliseconds max_queue_duration, metrics::Registry& registry);

  /// Errors: kUnavailable after `max_queue_duration`.
  boost::asio::awaitable<Status> Acquire();
  void Release();

 private:
  struct Waiter;
  bool TryAcquire();
  boost::asio::awaitable<bool> WaitForTurn();

  const size_t count_;
  const std::chrono::milliseconds max_queue_duration_;
  metrics::Gauge& current_;
  metrics::Counter& limit_reached_;
  metrics::Counter& limit_timeout_;
  Mutex mutex_;
  size_t free_ VM_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Waiter>> waiters_ VM_GUARDED_BY(mutex_);
};

/// The slot of one request. Not thread-safe. A body that is worked on while it arrives gives the slot back while the client is waited for;
/// a body that is read whole first keeps it from its first byte on, as in the original: slow senders of such bodies keep others
/// out, for which -maxConcurrentInserts can be raised.
class Slot {
 public:
  explicit Slot(Slots& slots) : slots_(slots) {}
  ~Slot() { Release(); }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  boost::asio::awaitable<Status> Acquire();
  void Release();

 private:
  Slots& slots_;
  bool is_held_ = false;
};

}  // namespace vm::insert
