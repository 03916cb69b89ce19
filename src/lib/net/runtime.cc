#include "lib/net/runtime.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/mutex.h"
#include "lib/base/still_busy.h"
#include "lib/log/log.h"
#include "lib/net/end_on_exception.h"
#include "lib/sys/sys.h"

namespace vm::net {

namespace {

/// After so long another thread takes over to listen.
constexpr auto kListenerMayBeBusy = std::chrono::microseconds(100);

/// So often somebody looks whether the listener is stuck in work that does not call StillBusy() or that waits for a disk:
constexpr auto kWatchInterval = std::chrono::milliseconds(10);
/// and so often when there was nothing to do
constexpr auto kIdleWatchInterval = std::chrono::milliseconds(200);
/// in so many looks.
constexpr int kWatchesUntilIdle = 100;

/// Lets one thread of an io_context listen at a time. The others sleep, or work off what they took while they listened:
/// they come back to the queue for what is ready, but do not wait there. Asio itself would wake up a thread for each
/// socket that gets ready, just to listen. Thread-safe.
class ListeningTurns {
 public:
  explicit ListeningTurns(asio::io_context& context) : context_(context) {}

  /// What each thread does, until Stop.
  void Run() VM_EXCLUDES(mutex_) {
    for (;;) {
      Turn turn(*this);
      if (!WaitForTurn(turn)) return;
      BusyHook::Set(&turn);
      while (turn.is_listening() && context_.run_one() > 0) {
        CountHandler();
        while (turn.is_listening() && context_.poll_one() > 0) {
          CountHandler();
          turn.StillBusy();
        }
        turn.Rest();
      }
      BusyHook::Set(nullptr);
      turn.End();
      while (context_.poll_one() > 0) CountHandler();
    }
  }

  /// What one thread more does, until Stop: see that a listener which is stuck loses its turn.
  void Watch() VM_EXCLUDES(mutex_) {
    uint64_t asked = 0;
    uint64_t handlers_before = 0;
    int idle_watches = 0;
    MutexLock lock(mutex_);
    while (!has_stopped_) {
      watch_ended_.WaitFor(mutex_, idle_watches < kWatchesUntilIdle ? kWatchInterval : kIdleWatchInterval);
      if (answered_.load(std::memory_order_relaxed) < asked) {
        // Nobody has come to the queue since the last look.
        if (listener_ != nullptr && listener_->TakeAway()) PassOn();
        idle_watches = 0;
        continue;
      }
      // The answer to the last question is one handler.
      const uint64_t handlers = handlers_count_.load(std::memory_order_relaxed);
      idle_watches = handlers - handlers_before <= 1 ? std::min(idle_watches + 1, kWatchesUntilIdle) : 0;
      handlers_before = handlers;
      asio::post(context_, [this, question = ++asked] { answered_.store(question, std::memory_order_relaxed); });
    }
  }

  void Stop() VM_EXCLUDES(mutex_) {
    context_.stop();
    MutexLock lock(mutex_);
    has_stopped_ = true;
    turn_ended_.NotifyAll();
    watch_ended_.NotifyAll();
  }

 private:
  /// Of the thread that listens.
  class Turn final : public BusyHook {
   public:
    explicit Turn(ListeningTurns& turns) : turns_(turns) {}

    bool is_listening() const noexcept { return is_listening_.load(std::memory_order_relaxed); }
    void StillBusy() noexcept override {
      const auto now = Clock::now();
      if (busy_since_ == Clock::time_point()) {
        busy_since_ = now;
      } else if (now - busy_since_ > kListenerMayBeBusy) {
        End();
      }
    }
    /// There is nothing to do.
    void Rest() noexcept { busy_since_ = {}; }
    void End() noexcept {
      BusyHook::Set(nullptr);
      if (!TakeAway()) return;
      turns_.EndTurn();
    }
    /// False: it had ended already. Who gets true sees to it that another one listens. Any thread.
    /// Ordered: the thread whose turn it was goes on to destroy it when somebody else has taken it away.
    bool TakeAway() noexcept { return is_listening_.exchange(false, std::memory_order_acq_rel); }

   private:
    using Clock = std::chrono::steady_clock;

    ListeningTurns& turns_;
    std::atomic<bool> is_listening_{true};
    Clock::time_point busy_since_;
  };

  /// False: stopped.
  bool WaitForTurn(Turn& turn) VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (listener_ != nullptr && !has_stopped_) turn_ended_.Wait(mutex_);
    if (has_stopped_) return false;
    listener_ = &turn;
    return true;
  }
  void EndTurn() VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    PassOn();
  }
  void PassOn() VM_REQUIRES(mutex_) {
    listener_ = nullptr;
    turn_ended_.NotifyOne();
  }
  void CountHandler() noexcept { handlers_count_.fetch_add(1, std::memory_order_relaxed); }

  asio::io_context& context_;
  std::atomic<uint64_t> handlers_count_{0};
  std::atomic<uint64_t> answered_{0};  // The last question of Watch that a thread has taken from the queue.
  Mutex mutex_;
  CondVar turn_ended_;
  CondVar watch_ended_;
  Turn* listener_ VM_GUARDED_BY(mutex_) = nullptr;  // A thread ends its turn before the turn is destroyed.
  bool has_stopped_ VM_GUARDED_BY(mutex_) = false;
};

}  // namespace

struct Runtime::Impl {
  explicit Impl(size_t threads)
      : context(static_cast<int>(threads)), guard(asio::make_work_guard(context)), turns(context) {}

  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> guard;
  ListeningTurns turns;
  std::vector<std::jthread> threads;
};

Runtime::Runtime(size_t threads, Threads kind) {
  if (threads == 0) threads = sys::AvailableCpus();
  impl_ = std::make_unique<Impl>(threads);
  for (size_t i = 0; i < threads; ++i) {
    if (kind == Threads::kComputeToo) {
      impl_->threads.emplace_back([this] { impl_->turns.Run(); });
    } else {
      impl_->threads.emplace_back([this] { impl_->context.run(); });
    }
  }
  if (kind == Threads::kComputeToo && threads > 1) impl_->threads.emplace_back([this] { impl_->turns.Watch(); });
}

Runtime::~Runtime() { Stop(); }

asio::any_io_executor Runtime::executor() { return impl_->context.get_executor(); }

asio::any_io_executor Runtime::MakeStrand() {
  return asio::make_strand(impl_->context.get_executor());
}

void Runtime::Stop() {
  impl_->guard.reset();
  impl_->turns.Stop();
  impl_->threads.clear();
}

struct Pool::Impl {
  explicit Impl(size_t threads) : pool(threads) {}
  asio::thread_pool pool;
};

Pool::Pool(std::string /*name*/, size_t threads)
    : threads_(std::max<size_t>(1, threads)), impl_(std::make_unique<Impl>(threads_)) {}

Pool::~Pool() { Stop(); }

asio::any_io_executor Pool::executor() { return impl_->pool.get_executor(); }

void Pool::Post(std::function<void()> work) { asio::post(impl_->pool, std::move(work)); }

void Pool::Stop() { impl_->pool.join(); }

void EndOnException(const std::exception_ptr& failure, const std::string& task) {
  if (!failure) return;
  std::string text = "unknown exception";
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    text = e.what();
  } catch (...) {
  }
  CheckFailed(__FILE__, __LINE__, "no exception leaves a task", task + ": " + text);
}

struct TaskGroup::State {
  Mutex mutex;
  CondVar ended;
  size_t running VM_GUARDED_BY(mutex) = 0;
};

TaskGroup::TaskGroup(std::string name)
    : name_(std::move(name)), state_(std::make_shared<State>()) {}

TaskGroup::~TaskGroup() = default;

void TaskGroup::Spawn(asio::any_io_executor executor, asio::awaitable<void> task) {
  {
    MutexLock lock(state_->mutex);
    ++state_->running;
  }
  asio::co_spawn(executor, std::move(task),
                 [state = state_, name = name_](std::exception_ptr failure) {
                   EndOnException(failure, name);
                   MutexLock lock(state->mutex);
                   --state->running;
                   state->ended.NotifyAll();
                 });
}

bool TaskGroup::WaitFor(std::chrono::milliseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  MutexLock lock(state_->mutex);
  while (state_->running > 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    state_->ended.WaitFor(state_->mutex, left);
  }
  return true;
}

void TaskGroup::Wait() {
  MutexLock lock(state_->mutex);
  while (state_->running > 0) state_->ended.Wait(state_->mutex);
}

size_t TaskGroup::running() const {
  MutexLock lock(state_->mutex);
  return state_->running;
}

asio::awaitable<void> SleepFor(std::chrono::milliseconds duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

}  // namespace vm::net
