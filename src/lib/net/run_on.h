#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "lib/net/runtime.h"

namespace vm::net {

/// Run `work` on `pool`, then resume on the executor of the caller. For anything that computes for
/// more than a few hundred microseconds or touches the disk. `work` must be a named local of the
/// caller, marked noexcept, and must not return void.
template <class Work>
asio::awaitable<std::invoke_result_t<Work&>> RunOn(asio::any_io_executor pool, Work work) {
  static_assert(std::is_nothrow_invocable_v<Work&>, "mark `work` noexcept");
  const auto home = co_await asio::this_coro::executor;
  co_await asio::post(asio::bind_executor(pool, asio::use_awaitable));
  auto result = work();
  co_await asio::post(asio::bind_executor(home, asio::use_awaitable));
  co_return result;
}

template <class Work>
asio::awaitable<std::invoke_result_t<Work&>> RunOn(Pool& pool, Work work) {
  return RunOn(pool.executor(), std::move(work));
}

namespace detail {
template <class T>
asio::awaitable<T> Deferred(asio::awaitable<T> task) {
  co_await asio::defer(asio::use_awaitable);
  co_return co_await std::move(task);
}
}  // namespace detail

/// Run a whole coroutine on `executor`, then resume on the executor of the caller. When that is a strand of the same
/// runtime, no other thread need wake up, and the strand is free meanwhile.
template <class T>
asio::awaitable<T> SpawnOn(asio::any_io_executor executor, asio::awaitable<T> task) {
  co_return co_await asio::co_spawn(executor, detail::Deferred(std::move(task)), asio::use_awaitable);
}

namespace detail {
template <class T>
asio::awaitable<void> Store(asio::awaitable<T> task, std::shared_ptr<std::promise<T>> promise) {
  std::exception_ptr failure;
  try {
    promise->set_value(co_await std::move(task));
    co_return;
  } catch (...) {
    failure = std::current_exception();
  }
  promise->set_exception(failure);
}
}  // namespace detail

/// Start `task` on `executor` and block until it has ended. For pool threads, main and tests; never
/// on an io thread.
template <class T>
T BlockOn(asio::any_io_executor executor, asio::awaitable<T> task) {
  auto promise = std::make_shared<std::promise<T>>();
  auto future = promise->get_future();
  asio::co_spawn(executor, detail::Store<T>(std::move(task), std::move(promise)),
                 [](std::exception_ptr) {});
  return future.get();
}

}  // namespace vm::net
