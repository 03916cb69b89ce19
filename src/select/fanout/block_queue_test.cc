#include "select/fanout/block_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "lib/net/run_on.h"
#include "lib/net/runtime.h"

namespace vm::select {
namespace {

using namespace std::chrono_literals;
using boost::asio::awaitable;

ByteBuffer Block(size_t size, uint8_t fill) { return ByteBuffer(size, fill); }

/// Adds `count` blocks of 100 bytes as a call to a node does.
awaitable<Status> AddBlocks(std::shared_ptr<BlockQueue> queue, size_t count, std::atomic<size_t>& added) {
  for (size_t i = 0; i < count; ++i) {
    VM_CO_TRY(queue->Add(Block(100, static_cast<uint8_t>(i))));
    ++added;
    if (queue->IsFull()) VM_CO_TRY(co_await queue->WaitForRoom());
  }
  co_return Ok();
}

awaitable<bool> Take(std::shared_ptr<BlockQueue> queue, BlockBatch& batch) { co_return co_await queue->Take(batch); }

class BlockQueueTest : public testing::Test {
 protected:
  BlockQueueTest() : runtime_(2), queue_(std::make_shared<BlockQueue>(runtime_.MakeStrand(), 1000)) {}

  std::future<Status> StartAdding(size_t count) {
    return std::async(std::launch::async, [this, count] { return net::BlockOn(runtime_.MakeStrand(), AddBlocks(queue_, count, added_)); });
  }
  bool TakeInto(BlockBatch& batch) { return net::BlockOn(runtime_.MakeStrand(), Take(queue_, batch)); }

  net::Runtime runtime_;
  std::shared_ptr<BlockQueue> queue_;
  std::atomic<size_t> added_{0};
};

TEST_F(BlockQueueTest, CarriesBlocksInOrder) {
  auto adding = StartAdding(1000);
  std::vector<uint8_t> seen;
  BlockBatch batch;
  while (seen.size() < 1000) {
    ASSERT_TRUE(TakeInto(batch));
    for (size_t i = 0; i < batch.size(); ++i) {
      EXPECT_EQ(batch[i].size(), 100u);
      seen.push_back(batch[i][99]);
    }
  }
  EXPECT_TRUE(adding.get().ok());
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], static_cast<uint8_t>(i));
  queue_->End();
  EXPECT_FALSE(queue_->Add(Block(1, 1)).ok());
  EXPECT_FALSE(TakeInto(batch));
}

TEST_F(BlockQueueTest, MakesNodesWaitWhenNobodyTakes) {
  auto first = StartAdding(100), second = StartAdding(100);
  EXPECT_EQ(first.wait_for(50ms), std::future_status::timeout);
  EXPECT_EQ(second.wait_for(0ms), std::future_status::timeout);
  // Ten fill it; the other node may come with one more.
  EXPECT_GE(added_, 10u);
  EXPECT_LE(added_, 11u);
  BlockBatch batch;
  size_t taken = 0;
  while (taken < 200) {
    ASSERT_TRUE(TakeInto(batch));
    EXPECT_LE(batch.size(), 11u);
    taken += batch.size();
  }
  EXPECT_TRUE(first.get().ok());
  EXPECT_TRUE(second.get().ok());
}

TEST_F(BlockQueueTest, CloseRefusesNodesThatWaitAndTheEndWakesTheConsumer) {
  auto adding = StartAdding(100);
  while (added_ < 10) std::this_thread::yield();
  queue_->Close();
  const Status refused = adding.get();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kCancelled);
  EXPECT_FALSE(queue_->Add(Block(1, 1)).ok());
  BlockBatch batch;
  auto taking = std::async(std::launch::async, [&] { return TakeInto(batch); });
  EXPECT_EQ(taking.wait_for(20ms), std::future_status::timeout);
  queue_->End();
  EXPECT_FALSE(taking.get());
}

}  // namespace
}  // namespace vm::select
