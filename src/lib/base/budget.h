#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "lib/base/result.h"

namespace vm {

/// Bytes that a request, a query or a daemon may hold, with an optional parent that is charged too.
/// Taking more than is left is an ordinary error that names the limit. Thread-safe.
class Budget {
 public:
  /// `limit_name` is the flag or rule that sets the limit; it is shown to users.
  Budget(std::string limit_name, int64_t limit_bytes, Budget* parent = nullptr)
      : limit_name_(std::move(limit_name)), limit_bytes_(limit_bytes), parent_(parent) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  /// Take `bytes`, or change nothing and return kLimitExceeded.
  Status Take(int64_t bytes) {
    if (used_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes > limit_bytes_) {
      used_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
      return Error(ErrorCode::kLimitExceeded,
                   "cannot take " + std::to_string(bytes) + " bytes of memory: the limit " +
                       limit_name_ + "=" + std::to_string(limit_bytes_) + " bytes is reached");
    }
    if (parent_ != nullptr) {
      if (Status status = parent_->Take(bytes); !status.ok()) {
        used_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
        return status;
      }
    }
    return Ok();
  }
  void Give(int64_t bytes) {
    used_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    if (parent_ != nullptr) parent_->Give(bytes);
  }
  int64_t used_bytes() const noexcept { return used_bytes_.load(std::memory_order_relaxed); }
  int64_t limit_bytes() const noexcept { return limit_bytes_; }

 private:
  const std::string limit_name_;
  const int64_t limit_bytes_;
  Budget* const parent_;
  std::atomic<int64_t> used_bytes_{0};
};

/// A share of a Budget, given back when the holder goes away. Not thread-safe.
class BudgetShare {
 public:
  explicit BudgetShare(Budget& budget) : budget_(budget) {}
  ~BudgetShare() { budget_.Give(taken_bytes_); }
  BudgetShare(const BudgetShare&) = delete;
  BudgetShare& operator=(const BudgetShare&) = delete;

  Status Take(int64_t bytes) {
    VM_TRY(budget_.Take(bytes));
    taken_bytes_ += bytes;
    return Ok();
  }

 private:
  Budget& budget_;
  int64_t taken_bytes_ = 0;
};

}  // namespace vm
