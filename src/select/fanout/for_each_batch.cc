#include "select/fanout/for_each_batch.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "lib/base/mutex.h"
#include "lib/net/event.h"

namespace vm::select {
namespace {

namespace asio = boost::asio;
using Work = std::function<Status(size_t, size_t, size_t)>;
using Clock = std::chrono::steady_clock;

// How long a worker of the pool keeps its thread before others get a turn.
constexpr auto kTurn = std::chrono::milliseconds(2);

/// Owned by the workers and the one that waits for them.
class Batches {
 public:
  Batches(size_t count, size_t batch_size, Work work) : count_(count), batch_size_(batch_size), work_(std::move(work)) {}

  /// Work on the next batch. False: none is left, or one has failed.
  bool RunNext(size_t worker) VM_EXCLUDES(mutex_) {
    size_t begin = 0;
    {
      MutexLock lock(mutex_);
      if (next_ >= count_ || error_) return false;
      begin = next_;
      next_ += batch_size_;
      ++running_;
    }
    // An exception must not leave: others still work on what the caller holds until all have ended.
    Status done = Ok();
    try {
      done = work_(worker, begin, std::min(begin + batch_size_, count_));
    } catch (const std::exception& exception) {
      done = Error(ErrorCode::kLimitExceeded, fmt::format("an exception ended the work on series: {}", exception.what()));
    }
    bool is_last = false;
    {
      MutexLock lock(mutex_);
      if (!done.ok() && !error_) error_ = std::move(done).error();
      --running_;
      is_last = IsDone();
    }
    if (is_last) ended_.Set();
    return true;
  }

  /// Wait until no batch is left and none runs. Workers that have not begun by then never call the work.
  asio::awaitable<Status> WaitForEnd() VM_EXCLUDES(mutex_) {
    for (;;) {
      {
        MutexLock lock(mutex_);
        if (IsDone()) {
          if (error_) co_return *error_;
          co_return Ok();
        }
      }
      co_await ended_.Wait();
    }
  }

 private:
  bool IsDone() const VM_REQUIRES(mutex_) { return running_ == 0 && (next_ >= count_ || error_); }

  const size_t count_;
  const size_t batch_size_;
  const Work work_;
  net::Event ended_;
  Mutex mutex_;
  size_t next_ VM_GUARDED_BY(mutex_) = 0;
  size_t running_ VM_GUARDED_BY(mutex_) = 0;
  std::optional<Error> error_ VM_GUARDED_BY(mutex_);
};

void Help(net::Pool& pool, const std::shared_ptr<Batches>& batches, size_t worker) {
  const auto turn_end = Clock::now() + kTurn;
  do {
    if (!batches->RunNext(worker)) return;
  } while (Clock::now() < turn_end);
  pool.Post([&pool, batches, worker] { Help(pool, batches, worker); });
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
  auto batches = std::make_shared<Batches>(count, batch_size, std::move(work));
  for (size_t i = 1; i < workers; ++i) pool.Post([&pool, batches, i] { Help(pool, batches, i); });
  while (batches->RunNext(0)) {
  }
  co_return co_await batches->WaitForEnd();
}

}  // namespace vm::select
