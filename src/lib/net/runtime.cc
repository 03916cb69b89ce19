#include "lib/net/runtime.h"

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

/// Lets one thread of an io_context listen at a time. The others sleep, or work off what they took while they listened:
/// they come back to the queue for what is ready, but do not wait there. Asio itself would wake up a thread for each
/// socket that gets ready, just to listen. Thread-safe.
class ListeningTurns {
 public:
  explicit ListeningTurns(asio::io_context& context) : context_(context) {}

  /// What each thread does, until Stop.
  void Run() VM_EXCLUDES(mutex_) {
    while (WaitForTurn()) {
      Turn turn(*this);
      BusyHook::Set(&turn);
      while (turn.is_listening() && context_.run_one() > 0) {
        while (turn.is_listening() && context_.poll_one() > 0) turn.StillBusy();
        turn.Rest();
      }
      BusyHook::Set(nullptr);
      turn.End();
      while (context_.poll_one() > 0) {
      }
    }
  }

  void Stop() VM_EXCLUDES(mutex_) {
    context_.stop();
    MutexLock lock(mutex_);
    has_stopped_ = true;
    turn_ended_.NotifyAll();
  }

 private:
  /// Of the thread that listens.
  class Turn final : public BusyHook {
   public:
    explicit Turn(ListeningTurns& turns) : turns_(turns) {}

    bool is_listening() const noexcept { return is_listening_; }
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
      if (!is_listening_) return;
      is_listening_ = false;
      BusyHook::Set(nullptr);
      turns_.EndTurn();
    }

   private:
    using Clock = std::chrono::steady_clock;

    ListeningTurns& turns_;
    bool is_listening_ = true;
    Clock::time_point busy_since_;
  };

  /// False: stopped.
  bool WaitForTurn() VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (has_listener_ && !has_stopped_) turn_ended_.Wait(mutex_);
    has_listener_ = true;
    return !has_stopped_;
  }
  void EndTurn() VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    has_listener_ = false;
    turn_ended_.NotifyOne();
  }

  asio::io_context& context_;
  Mutex mutex_;
  CondVar turn_ended_;
  bool has_listener_ VM_GUARDED_BY(mutex_) = false;
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
