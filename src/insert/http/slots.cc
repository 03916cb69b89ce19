#include "insert/http/slots.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace vm::insert {

namespace asio = boost::asio;

struct Slots::Waiter {
  explicit Waiter(const asio::any_io_executor& executor) : timer(executor) {}
  asio::steady_timer timer;
  bool is_granted = false;  // Guarded by the mutex of Slots.
};

Slots::Slots(size_t count, std::chrono::milliseconds max_queue_duration, metrics::Registry& registry)
    : count_(std::max<size_t>(count, 1)),
      max_queue_duration_(max_queue_duration),
      current_(registry.GetGauge("vm_concurrent_insert_current")),
      limit_reached_(registry.GetCounter("vm_concurrent_insert_limit_reached_total")),
      limit_timeout_(registry.GetCounter("vm_concurrent_insert_limit_timeout_total")),
      free_(count_) {
  registry.GetGauge("vm_concurrent_insert_capacity").Set(static_cast<double>(count_));
}

asio::awaitable<Status> Slots::Acquire() {
  if (!TryAcquire()) {
    limit_reached_.Inc();
    const bool is_granted = co_await WaitForTurn();
    if (!is_granted) {
      limit_timeout_.Inc();
      co_return Error(
          ErrorCode::kUnavailable,
          fmt::format("cannot process insert request for {:.3f} seconds because {} concurrent insert requests are executed. "
                      "Possible solutions: to reduce workload; to increase compute resources at the server; to increase "
                      "-insert.maxQueueDuration; to increase -maxConcurrentInserts",
                      std::chrono::duration<double>(max_queue_duration_).count(), count_));
    }
  }
  current_.Inc();
  co_return Ok();
}

bool Slots::TryAcquire() {
  MutexLock lock(mutex_);
  if (free_ == 0) return false;
  --free_;
  return true;
}

asio::awaitable<bool> Slots::WaitForTurn() {
  auto waiter = std::make_shared<Waiter>(co_await asio::this_coro::executor);
  waiter->timer.expires_after(max_queue_duration_);
  bool is_late = false;
  {
    MutexLock lock(mutex_);
    if (free_ > 0) {
      --free_;
      is_late = true;
    } else {
      waiters_.push_back(waiter);
    }
  }
  if (is_late) co_return true;
  co_await waiter->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  MutexLock lock(mutex_);
  if (waiter->is_granted) co_return true;
  std::erase(waiters_, waiter);
  co_return false;
}

void Slots::Release() {
  current_.Dec();
  std::shared_ptr<Waiter> next;
  {
    MutexLock lock(mutex_);
    if (waiters_.empty()) {
      ++free_;
      return;
    }
    next = std::move(waiters_.front());
    waiters_.pop_front();
    next->is_granted = true;
  }
  asio::post(next->timer.get_executor(), [next] { next->timer.cancel(); });
}

asio::awaitable<Status> Slot::Acquire() {
  if (is_held_) co_return Ok();
  VM_CO_TRY(co_await slots_.Acquire());
  is_held_ = true;
  co_return Ok();
}

void Slot::Release() {
  if (std::exchange(is_held_, false)) slots_.Release();
}

}  // namespace vm::insert
