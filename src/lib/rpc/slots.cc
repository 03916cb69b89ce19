#include "lib/rpc/slots.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace vm::rpc {

struct Slots::Waiter {
  explicit Waiter(const net::asio::any_io_executor& executor) : timer(executor) {}

  net::asio::steady_timer timer;  // On the strand of the waiter.
  bool granted = false;           // Guarded by mutex_ of Slots.
};

bool Slots::TryAcquire() {
  MutexLock lock(mutex_);
  if (free_ == 0) return false;
  --free_;
  return true;
}

net::asio::awaitable<bool> Slots::Acquire(std::chrono::milliseconds max_wait) {
  if (TryAcquire()) co_return true;
  auto waiter = std::make_shared<Waiter>(co_await net::asio::this_coro::executor);
  waiter->timer.expires_after(max_wait);
  {
    MutexLock lock(mutex_);
    if (free_ > 0) {
      --free_;
      co_return true;
    }
    waiters_.push_back(waiter);
  }
  // Release cancels the timer from the same strand, so not before this line waits.
  co_await waiter->timer.async_wait(net::asio::as_tuple(net::asio::use_awaitable));
  MutexLock lock(mutex_);
  if (waiter->granted) co_return true;
  std::erase(waiters_, waiter);
  co_return false;
}

void Slots::Release() {
  std::shared_ptr<Waiter> next;
  {
    MutexLock lock(mutex_);
    if (waiters_.empty()) {
      ++free_;
      return;
    }
    next = std::move(waiters_.front());
    waiters_.pop_front();
    next->granted = true;
  }
  net::asio::post(next->timer.get_executor(), [next] { next->timer.cancel(); });
}

size_t Slots::used() const {
  MutexLock lock(mutex_);
  return capacity_ - free_;
}

}  // namespace vm::rpc
