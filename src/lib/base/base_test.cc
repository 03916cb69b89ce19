#include <gtest/gtest.h>

#include "lib/base/budget.h"
#include "lib/base/deadline.h"
#include "lib/base/result.h"

namespace vm {
namespace {

Result<int> Half(int n) {
  if (n % 2 != 0) return Error(ErrorCode::kInvalidInput, "odd");
  return n / 2;
}

Result<int> Quarter(int n) {
  VM_ASSIGN_OR_RETURN(const int half, Half(n));
  VM_TRY(Half(half));
  return half / 2;
}

TEST(ResultTest, CarriesValueOrErrorThroughTheMacros) {
  EXPECT_EQ(Quarter(8).value(), 2);
  const Result<int> odd = Quarter(6);
  ASSERT_FALSE(odd.ok());
  EXPECT_EQ(odd.error().message(), "odd");
  EXPECT_EQ(Error(ErrorCode::kIo, "b").WithContext("a").message(), "a: b");
}

TEST(BudgetTest, RefusesWithTheNameOfTheLimitAndChangesNothing) {
  Budget parent("-parent", 100);
  Budget child("-child", 80, &parent);
  {
    BudgetShare share(child);
    ASSERT_TRUE(share.Take(60).ok());
    const Status refused = share.Take(30);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kLimitExceeded);
    EXPECT_NE(refused.error().message().find("-child=80"), std::string::npos);
    EXPECT_EQ(parent.used_bytes(), 60);
  }
  EXPECT_EQ(parent.used_bytes(), 0);
  BudgetShare other(parent);
  ASSERT_TRUE(other.Take(90).ok());
  EXPECT_FALSE(child.Take(20).ok());
  EXPECT_EQ(child.used_bytes(), 0);
}

TEST(DeadlineTest, ExpiresAndHearsTheStopToken) {
  EXPECT_FALSE(Deadline().Expired());
  std::stop_source source;
  const Deadline past(Deadline::Clock::now() - std::chrono::seconds(1), source.get_token());
  EXPECT_TRUE(past.Expired());
  EXPECT_EQ(past.Remaining().count(), 0);
  EXPECT_FALSE(past.Cancelled());
  source.request_stop();
  EXPECT_TRUE(past.Cancelled());
}

}  // namespace
}  // namespace vm
