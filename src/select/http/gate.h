#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <stop_token>

#include "lib/base/mutex.h"

namespace vm::select {

/// Lets a limited number of requests in; the others wait in the order they came. Thread-safe.
class Gate {
 public:
  explicit Gate(size_t capacity);

  enum class Outcome : uint8_t { kEntered, kTimeout, kStopped };

  /// True: entered without waiting.
  bool TryEnter() VM_EXCLUDES(mutex_);
  /// Wait for room, at most `timeout` or until `stop`. Must run on a strand. Each kEntered needs one Leave.
  boost::asio::awaitable<Outcome> Enter(std::chrono::milliseconds timeout, std::stop_token stop);
  void Leave() VM_EXCLUDES(mutex_);

  size_t capacity() const noexcept { return capacity_; }
  size_t current() const VM_EXCLUDES(mutex_);

 private:
  struct Waiter {
    explicit Waiter(boost::asio::any_io_executor executor) : timer(std::move(executor)) {}
    boost::asio::steady_timer timer;  // Strand of the waiter only.
    bool is_granted = false;          // Guarded by the mutex of the gate.
  };

  bool TryEnterOrQueue(const std::shared_ptr<Waiter>& waiter) VM_EXCLUDES(mutex_);

  const size_t capacity_;
  mutable Mutex mutex_;
  size_t current_ VM_GUARDED_BY(mutex_) = 0;
  std::deque<std::shared_ptr<Waiter>> waiters_ VM_GUARDED_BY(mutex_);
};

/// Leaves the gate at the end of the scope.
class GateGuard {
 public:
  explicit GateGuard(Gate& gate) : gate_(gate) {}
  ~GateGuard() { gate_.Leave(); }
  GateGuard(const GateGuard&) = delete;
  GateGuard& operator=(const GateGuard&) = delete;

 private:
  Gate& gate_;
};

}  // namespace vm::select
