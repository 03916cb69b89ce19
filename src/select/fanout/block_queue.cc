#include "select/fanout/block_queue.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace vm::select {

namespace asio = boost::asio;

BlockQueue::BlockQueue(asio::any_io_executor strand, size_t max_bytes)
    : strand_(std::move(strand)), max_bytes_(max_bytes), wake_(strand_, asio::steady_timer::time_point::max()) {}

Status BlockQueue::Add(ByteView metric_block) {
  bool is_awaited = false;
  {
    MutexLock lock(mutex_);
    if (is_closed_ || has_ended_) return Error(ErrorCode::kCancelled, "nobody takes blocks anymore");
    blocks_.Add(metric_block);
    if (blocks_.bytes() >= max_bytes_) is_full_.store(true, std::memory_order_relaxed);
    // Whoever waits while there is something to take has been told already.
    is_awaited = waiting_ > 0 && blocks_.size() == 1;
  }
  if (is_awaited) Wake();
  return Ok();
}

asio::awaitable<Status> BlockQueue::WaitForRoom() {
  co_await Wait(Event::kRoom);
  MutexLock lock(mutex_);
  if (is_closed_ || has_ended_) co_return Error(ErrorCode::kCancelled, "nobody takes blocks anymore");
  co_return Ok();
}

asio::awaitable<bool> BlockQueue::Take(BlockBatch& batch) {
  batch.Clear();
  bool has_waiters = false;
  for (bool is_done = false; !is_done;) {
    co_await Wait(Event::kBlocks);
    MutexLock lock(mutex_);
    // Close may have taken away what was waited for; the end is still to come then.
    is_done = blocks_.size() > 0 || has_ended_;
    if (!is_done) continue;
    std::swap(batch, blocks_);
    has_waiters = waiting_ > 0 && is_full_.load(std::memory_order_relaxed);
    is_full_.store(false, std::memory_order_relaxed);
  }
  if (has_waiters) Wake();
  co_return batch.size() > 0;
}

void BlockQueue::End() {
  {
    MutexLock lock(mutex_);
    has_ended_ = true;
  }
  Wake();
}

void BlockQueue::Close() {
  {
    MutexLock lock(mutex_);
    is_closed_ = true;
    blocks_ = BlockBatch();
    is_full_.store(false, std::memory_order_relaxed);
  }
  Wake();
}

bool BlockQueue::HasHappened(Event event) {
  MutexLock lock(mutex_);
  const bool has = event == Event::kRoom ? !is_full_.load(std::memory_order_relaxed) || is_closed_ || has_ended_
                                         : blocks_.size() > 0 || has_ended_;
  if (!has) ++waiting_;
  return has;
}

asio::awaitable<void> BlockQueue::Wait(Event event) {
  const auto self = shared_from_this();
  const auto home = co_await asio::this_coro::executor;
  // On the strand of the queue a wake-up cannot fall between the check and the wait.
  co_await asio::post(asio::bind_executor(strand_, asio::use_awaitable));
  while (!HasHappened(event)) {
    co_await wake_.async_wait(asio::bind_executor(strand_, asio::as_tuple(asio::use_awaitable)));
    MutexLock lock(mutex_);
    --waiting_;
  }
  co_await asio::post(asio::bind_executor(home, asio::use_awaitable));
}

void BlockQueue::Wake() {
  asio::post(strand_, [self = shared_from_this()] { self->wake_.cancel(); });
}

}  // namespace vm::select
