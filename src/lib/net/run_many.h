#pragma once

#include <atomic>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <utility>

#include "lib/net/runtime.h"

namespace vm::net {

/// Run `work` `count` times, at once as far as `pool` has threads, then resume on the executor of the caller. `work` must
/// not throw, and owns what it uses. Requires count > 0.
inline asio::awaitable<void> RunMany(Pool& pool, size_t count, std::function<void()> work) {
  struct Job {
    Job(std::function<void()> job_work, size_t count) : work(std::move(job_work)), left(count) {}
    const std::function<void()> work;
    std::atomic<size_t> left;
  };
  const auto job = std::make_shared<Job>(std::move(work), count);
  const auto home = co_await asio::this_coro::executor;
  // No job waits for another: the last one wakes the caller.
  auto start = [&pool, job, count, home](auto handler) {
    const auto caller = std::make_shared<decltype(handler)>(std::move(handler));
    for (size_t i = 0; i < count; ++i) {
      pool.Post([job, caller, home] {
        job->work();
        if (job->left.fetch_sub(1, std::memory_order_acq_rel) == 1) asio::post(home, [caller] { std::move(*caller)(); });
      });
    }
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
}

}  // namespace vm::net
