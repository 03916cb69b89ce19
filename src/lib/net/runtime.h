#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace vm::net {

namespace asio = boost::asio;

/// What the threads of a Runtime do.
enum class Threads : uint8_t {
  /// Sockets, framing and routing. Each thread listens when it has nothing to do; what comes in meanwhile wakes up the
  /// next one.
  kOnlyIo,
  /// Also what computes or reads files, if it calls StillBusy() (lib/base/still_busy.h) now and then. One thread listens
  /// and does what comes in; the next one wakes up when that takes longer than waking it up is worth. So short work
  /// is done without a change of threads. Work that does not call it is noticed too, some 10 ms late, 200 ms when nothing had
  /// been done for a second.
  kComputeToo,
};

/// One io_context with its threads. Thread-safe.
class Runtime {
 public:
  /// 0 threads: one per available CPU.
  explicit Runtime(size_t threads = 0, Threads kind = Threads::kOnlyIo);
  /// Stops.
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  asio::any_io_executor executor();
  /// An executor that runs one thing at a time; one per connection.
  asio::any_io_executor MakeStrand();
  /// Drop what is pending and join the threads.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A fixed number of threads for work that computes or touches the disk. Thread-safe.
class Pool {
 public:
  Pool(std::string name, size_t threads);
  /// Finishes what is queued, then joins.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  asio::any_io_executor executor();
  /// Run `work` on a thread of the pool. `work` must not throw.
  void Post(std::function<void()> work);
  size_t threads() const noexcept { return threads_; }
  void Stop();

 private:
  struct Impl;
  const size_t threads_;
  std::unique_ptr<Impl> impl_;
};

/// Coroutines that are stopped together. A coroutine that throws ends the process with its text: an
/// exception here is a bug. Thread-safe.
class TaskGroup {
 public:
  explicit TaskGroup(std::string name);
  /// Requires that Wait has been called, or nothing runs.
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// Start `task` on `executor` (a strand).
  void Spawn(asio::any_io_executor executor, asio::awaitable<void> task);
  /// Wait until all tasks have ended; false after `timeout`. Never call it on an io thread.
  bool WaitFor(std::chrono::milliseconds timeout);
  void Wait();
  size_t running() const;

 private:
  struct State;
  std::string name_;
  std::shared_ptr<State> state_;
};

/// Sleep without holding a thread. Ends early, quietly, when the executor stops.
asio::awaitable<void> SleepFor(std::chrono::milliseconds duration);

}  // namespace vm::net
