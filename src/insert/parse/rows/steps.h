#pragma once

#include <coroutine>
#include <new>
#include <utility>

#include "lib/base/result.h"

namespace vm::insert {

/// What a function of Steps hands to co_yield where it may be left alone.
struct Pause {};
inline constexpr Pause kPause;

/// Work that pauses on its own where its results should be taken away first, so that it needs memory for few of them. A coroutine that
/// waits for nothing: whoever calls Next does the work, on any thread, but one after the other. Arguments taken by reference or as a view
/// must outlive it. Running out of memory ends it with kIo; another exception leaves Next.
class Steps {
 public:
  struct promise_type {
    Steps get_return_object() { return Steps(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(Pause) noexcept { return {}; }
    void return_value(Status result) { status = std::move(result); }
    void unhandled_exception() {
      try {
        throw;
      } catch (const std::bad_alloc&) {
        status = Error(ErrorCode::kIo, "out of memory");
      }
    }
    Status status = Ok();
  };

  Steps() = default;
  Steps(Steps&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Steps& operator=(Steps&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Steps() {
    if (handle_) handle_.destroy();
  }

  /// Go on. True: there is more to do. False: done, or nothing to do. Errors: those of the work; call it no more then.
  Result<bool> Next() {
    if (!handle_ || handle_.done()) return false;
    handle_.resume();
    if (!handle_.done()) return true;
    VM_TRY(std::move(handle_.promise().status));
    return false;
  }

 private:
  explicit Steps(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

}  // namespace vm::insert
