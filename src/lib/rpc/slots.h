#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>

#include "lib/base/mutex.h"
#include "lib/base/result.h"
#include "lib/net/runtime.h"

namespace vm::rpc {

/// How many requests run at once; others wait their turn without holding a thread. Thread-safe.
class Slots {
 public:
  explicit Slots(size_t count) : capacity_(count), free_(count) {}
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  /// Take a slot if one is free and nobody waits.
  bool TryAcquire() VM_EXCLUDES(mutex_);
  /// Wait for a slot in order of arrival; false after `max_wait`. Requires that the caller runs on a strand.
  net::asio::awaitable<bool> Acquire(std::chrono::milliseconds max_wait) VM_EXCLUDES(mutex_);
  /// The same, and `meanwhile` runs whenever `interval` has passed; the place in the order stays. Its errors end the waiting.
  net::asio::awaitable<Result<bool>> Acquire(std::chrono::milliseconds max_wait, std::chrono::milliseconds interval,
                                             std::function<net::asio::awaitable<Status>()> meanwhile) VM_EXCLUDES(mutex_);
  /// Give a slot back. Any thread.
  void Release() VM_EXCLUDES(mutex_);

  size_t capacity() const noexcept { return capacity_; }
  size_t used() const VM_EXCLUDES(mutex_);

 private:
  struct Waiter;

  bool IsGranted(const Waiter& waiter) const VM_EXCLUDES(mutex_);

  const size_t capacity_;
  mutable Mutex mutex_;
  size_t free_ VM_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Waiter>> waiters_ VM_GUARDED_BY(mutex_);
};

/// Gives a slot back at the end of its scope.
class SlotHolder {
 public:
  SlotHolder() = default;
  explicit SlotHolder(Slots& slots) : slots_(&slots) {}
  SlotHolder(const SlotHolder&) = delete;
  SlotHolder& operator=(const SlotHolder&) = delete;
  ~SlotHolder() { Release(); }

  void Hold(Slots& slots) { slots_ = &slots; }
  void Release() {
    if (slots_ != nullptr) slots_->Release();
    slots_ = nullptr;
  }

 private:
  Slots* slots_ = nullptr;
};

}  // namespace vm::rpc
