#include "select/fanout/for_each_batch.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "lib/base/mutex.h"

namespace vm::select {
namespace {

namespace asio = boost::asio;
using Work = std::function<Status(size_t, size_t, size_t)>;
using Clock = std::chrono::steady_clock;

// How long a worker keeps its thread before others get a turn.
constexpr auto kTurn = std::chrono::milliseconds(2);

/// Owned by the workers and the one that waits for them.
struct Batches {
  Batches(net::Pool& pool_in, size_t workers_in, size_t count_in, size_t batch_size_in, Work work_in)
      : pool(pool_in), count(count_in), batch_size(batch_size_in), work(std::move(work_in)), running(workers_in) {}

  net::Pool& pool;
  const size_t count;
  const size_t batch_size;
  const Work work;
  std::atomic<size_t> next{0};
  std::atomic<bool> has_failed{false};
  std::atomic<size_t> running;
  std::function<void()> on_end;
  Mutex mutex;
  std::optional<Error> error VM_GUARDED_BY(mutex);
};

void Fail(Batches& batches, Error error) {
  MutexLock lock(batches.mutex);
  if (!batches.error) batches.error = std::move(error);
  batches.has_failed = true;
}

void RunBatches(const std::shared_ptr<Batches>& batches, size_t worker) {
  const auto turn_end = Clock::now() + kTurn;
  do {
    const size_t begin = batches->next.fetch_add(batches->batch_size);
    if (begin >= batches->count || batches->has_failed) {
      if (batches->running.fetch_sub(1) == 1) batches->on_end();
      return;
    }
    Status done = batches->work(worker, begin, std::min(begin + batches->batch_size, batches->count));
    if (!done.ok()) Fail(*batches, std::move(done).error());
  } while (Clock::now() < turn_end);
  batches->pool.Post([batches, worker] { RunBatches(batches, worker); });
}

}  // namespace

asio::awaitable<Status> ForEachBatch(net::Pool& pool, size_t workers, size_t count, size_t batch_size, Work work) {
  batch_size = std::max<size_t>(1, batch_size);
  workers = std::clamp<size_t>(workers, 1, (count + batch_size - 1) / batch_size + (count == 0 ? 1 : 0));
  if (workers == 1) {
    for (size_t begin = 0; begin < count; begin += batch_size) {
      VM_CO_TRY(work(0, begin, std::min(begin + batch_size, count)));
    }
    co_return Ok();
  }
  auto batches = std::make_shared<Batches>(pool, workers, count, batch_size, std::move(work));
  // The end is told on a strand of its own, so that it cannot be missed between a check and the wait.
  const asio::any_io_executor strand = asio::make_strand(co_await asio::this_coro::executor);
  auto ended = std::make_shared<asio::steady_timer>(strand, asio::steady_timer::time_point::max());
  batches->on_end = [strand, ended] { asio::post(strand, [ended] { ended->cancel(); }); };
  const auto home = co_await asio::this_coro::executor;
  co_await asio::post(asio::bind_executor(strand, asio::use_awaitable));
  for (size_t i = 0; i < workers; ++i) pool.Post([batches, i] { RunBatches(batches, i); });
  co_await ended->async_wait(asio::bind_executor(strand, asio::as_tuple(asio::use_awaitable)));
  co_await asio::post(asio::bind_executor(home, asio::use_awaitable));
  MutexLock lock(batches->mutex);
  if (batches->error) co_return std::move(*batches->error);
  co_return Ok();
}

}  // namespace vm::select
