#include "select/http/gate.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace vm::select {

namespace asio = boost::asio;

Gate::Gate(size_t capacity) : capacity_(std::max<size_t>(1, capacity)) {}

bool Gate::TryEnter() {
  MutexLock lock(mutex_);
  if (current_ >= capacity_) return false;
  ++current_;
  return true;
}

bool Gate::TryEnterOrQueue(const std::shared_ptr<Waiter>& waiter) {
  MutexLock lock(mutex_);
  if (current_ < capacity_) {
    ++current_;
    return true;
  }
  waiters_.push_back(waiter);
  return false;
}

asio::awaitable<Gate::Outcome> Gate::Enter(std::chrono::milliseconds timeout, std::stop_token stop) {
  auto waiter = std::make_shared<Waiter>(co_await asio::this_coro::executor);
  waiter->timer.expires_after(timeout);
  if (TryEnterOrQueue(waiter)) co_return Outcome::kEntered;
  const auto wake = [waiter] { asio::post(waiter->timer.get_executor(), [waiter] { waiter->timer.cancel(); }); };
  {
    const std::stop_callback on_stop(stop, wake);
    co_await waiter->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  MutexLock lock(mutex_);
  if (waiter->is_granted) co_return Outcome::kEntered;
  std::erase(waiters_, waiter);
  co_return stop.stop_requested() ? Outcome::kStopped : Outcome::kTimeout;
}

void Gate::Leave() {
  std::shared_ptr<Waiter> next;
  {
    MutexLock lock(mutex_);
    if (waiters_.empty()) {
      --current_;
      return;
    }
    next = std::move(waiters_.front());
    waiters_.pop_front();
    next->is_granted = true;
  }
  asio::post(next->timer.get_executor(), [next] { next->timer.cancel(); });
}

size_t Gate::current() const {
  MutexLock lock(mutex_);
  return current_;
}

}  // namespace vm::select
