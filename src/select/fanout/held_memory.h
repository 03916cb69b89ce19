#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "lib/base/budget.h"

namespace vm::select {

/// What a request holds until it is over, taken by any of its calls to nodes. Thread-safe.
class HeldMemory {
 public:
  explicit HeldMemory(std::shared_ptr<Budget> budget) : budget_(std::move(budget)) {}
  ~HeldMemory() { budget_->Give(taken_bytes_.load(std::memory_order_relaxed)); }
  HeldMemory(const HeldMemory&) = delete;
  HeldMemory& operator=(const HeldMemory&) = delete;

  /// Errors: kLimitExceeded.
  Status Take(int64_t bytes) {
    VM_TRY(budget_->Take(bytes));
    taken_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    return Ok();
  }

 private:
  const std::shared_ptr<Budget> budget_;
  std::atomic<int64_t> taken_bytes_{0};
};

}  // namespace vm::select
