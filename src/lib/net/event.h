#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

#include "lib/base/mutex.h"

namespace vm::net {

/// Lets one coroutine wait for what another coroutine or thread does. A Set that nobody waits for is kept for the next
/// Wait; more than one count as one. Thread-safe, but only one coroutine may wait at a time.
///
/// Whoever waits holds what its frame holds: an Event that lives as long as its waiter must be set when the one who
/// would set it goes away, or both stay.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  boost::asio::awaitable<void> Wait() {
    if (TakeSignal()) co_return;
    auto park = [this]<class Handler>(Handler handler) { Park(std::make_unique<ParkedAs<Handler>>(std::move(handler))); };
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(std::move(park),
                                                                                      boost::asio::use_awaitable);
  }

  /// The waiter goes on later, on its own executor, never inside of this call.
  void Set() VM_EXCLUDES(mutex_) {
    std::unique_ptr<Parked> parked;
    {
      MutexLock lock(mutex_);
      is_set_ = parked_ == nullptr;
      parked = std::move(parked_);
    }
    if (parked != nullptr) parked->Resume();
  }

 private:
  struct Parked {
    virtual ~Parked() = default;
    virtual void Resume() = 0;
  };
  template <class Handler>
  struct ParkedAs final : Parked {
    explicit ParkedAs(Handler h) : handler(std::move(h)) {}
    void Resume() override {
      const auto executor = boost::asio::get_associated_executor(handler);
      boost::asio::defer(executor, std::move(handler));
    }
    Handler handler;
  };

  bool TakeSignal() VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return std::exchange(is_set_, false);
  }
  void Park(std::unique_ptr<Parked> parked) VM_EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      if (!std::exchange(is_set_, false)) {
        parked_ = std::move(parked);
        return;
      }
    }
    parked->Resume();
  }

  Mutex mutex_;
  bool is_set_ VM_GUARDED_BY(mutex_) = false;
  std::unique_ptr<Parked> parked_ VM_GUARDED_BY(mutex_);
};

}  // namespace vm::net
