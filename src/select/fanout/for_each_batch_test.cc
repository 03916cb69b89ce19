#include "select/fanout/for_each_batch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "lib/net/run_on.h"

namespace vm::select {
namespace {

TEST(ForEachBatchTest, CoversEveryItemOnce) {
  net::Pool pool("test", 3);
  for (const size_t count : {0, 1, 9, 10, 11, 1000}) {
    for (const size_t workers : {1, 2, 7}) {
      std::vector<std::atomic<int>> seen(count);
      auto work = [&](size_t worker, size_t begin, size_t end) -> Status {
        if (worker >= workers) return Error(ErrorCode::kCorrupted, "a worker too many");
        for (size_t i = begin; i < end; ++i) ++seen[i];
        return Ok();
      };
      const Status done = net::BlockOn(pool.executor(), ForEachBatch(pool, workers, count, 10, work));
      ASSERT_TRUE(done.ok());
      for (const auto& n : seen) ASSERT_EQ(n, 1);
    }
  }
}

TEST(ForEachBatchTest, StopsAfterTheFirstError) {
  net::Pool pool("test", 2);
  std::atomic<int> calls{0};
  auto work = [&](size_t, size_t begin, size_t) -> Status {
    ++calls;
    if (begin == 0) return Error(ErrorCode::kCorrupted, "broken");
    return Ok();
  };
  const Status done = net::BlockOn(pool.executor(), ForEachBatch(pool, 2, 100000, 1, work));
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().message(), "broken");
  EXPECT_LT(calls, 100000);
}

}  // namespace
}  // namespace vm::select
