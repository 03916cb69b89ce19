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
  const auto nothing = []() -> net::asio::awaitable<Status> { co_return Ok(); };
  const Result<bool> acquired = co_await Acquire(max_wait, max_wait, nothing);
  co_return acquired.ok() && acquired.value();
}

net::asio::awaitable<Result<bool>> Slots::Acquire(std::chrono::milliseconds max_wait, std::chrono::milliseconds interval,
                                                  std::function<net::asio::awaitable<Status>()> meanwhile) {
  const auto end = std::chrono::steady_clock::now() + max_wait;
  auto waiter = std::make_shared<Waiter>(co_await net::asio::this_coro::executor);
  {
    MutexLock lock(mutex_);
    if (free_ > 0) {
      --free_;
      co_return true;
    }
    waiters_.push_back(waiter);
  }
  Status status = Ok();
  for (;;) {
    waiter->timer.expires_at(std::min(end, std::chrono::steady_clock::now() + interval));
    // Release cancels the timer from the same strand, so not before this line waits.
    co_await waiter->timer.async_wait(net::asio::as_tuple(net::asio::use_awaitable));
    const bool is_over = std::chrono::steady_clock::now() >= end;
    if (!is_over && !IsGranted(*waiter)) status = co_await meanwhile();
    MutexLock lock(mutex_);
    if (waiter->granted) break;
    if (!is_over && status.ok()) continue;
    std::erase(waiters_, waiter);
    if (!status.ok()) co_return std::move(status).error();
    co_return false;
  }
  if (status.ok()) co_return true;
  Release();
  co_return std::move(status).error();
}

bool Slots::IsGranted(const Waiter& waiter) const {
  MutexLock lock(mutex_);
  return waiter.granted;
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
