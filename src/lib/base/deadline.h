#pragma once

#include <chrono>
#include <stop_token>

namespace vm {

/// When a request has to be finished, and whether its client is still there. A cheap value, copied
/// through parse, index search, RPC and evaluation. Thread-safe.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  /// Never expires.
  Deadline() = default;
  explicit Deadline(Clock::time_point at, std::stop_token stop = {})
      : at_(at), stop_(std::move(stop)) {}

  static Deadline After(std::chrono::milliseconds timeout, std::stop_token stop = {}) {
    return Deadline(Clock::now() + timeout, std::move(stop));
  }

  bool Expired() const { return at_ != Clock::time_point::max() && Clock::now() > at_; }
  bool Cancelled() const { return stop_.stop_requested(); }
  Clock::time_point at() const noexcept { return at_; }
  const std::stop_token& stop_token() const noexcept { return stop_; }

  /// Time left, never negative.
  std::chrono::milliseconds Remaining() const {
    const auto now = Clock::now();
    if (at_ <= now) return std::chrono::milliseconds(0);
    return std::chrono::duration_cast<std::chrono::milliseconds>(at_ - now);
  }

 private:
  Clock::time_point at_ = Clock::time_point::max();
  std::stop_token stop_;
};

}  // namespace vm
