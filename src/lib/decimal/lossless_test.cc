#include "lib/decimal/lossless.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "lib/decimal/decimal.h"

namespace vm::decimal {
namespace {

TEST(LosslessTest, CutsWhereTheCommonExponentWouldEatDigits) {
  const double largest = 18446744073709551615.0;
  EXPECT_EQ(LosslessPrefix({}), 0u);
  EXPECT_EQ(LosslessPrefix(std::vector<double>{largest}), 1u);
  EXPECT_EQ(LosslessPrefix(std::vector<double>{1, 2, 16, largest}), 3u);
  EXPECT_EQ(LosslessPrefix(std::vector<double>{largest, 1}), 1u);
  EXPECT_EQ(LosslessPrefix(std::vector<double>{1e18, 1.5, 3e-5}), 1u);
  EXPECT_EQ(LosslessPrefix(std::vector<double>{1e17, 1.5, 3e-5}), 2u);
  EXPECT_EQ(LosslessPrefix(std::vector<double>{1.5, -2.25, 1000, 0.001}), 4u);
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(LosslessPrefix(std::vector<double>{inf, 1.5, StaleNaN(), -inf, 0, 1e15}), 6u);
}

TEST(LosslessTest, EveryPrefixItReturnsReadsBackExactly) {
  std::vector<double> values;
  uint64_t state = 1;
  for (int i = 0; i < 2000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const int exponent = static_cast<int>(state >> 59) - 16;
    values.push_back(ToFloat(static_cast<int64_t>((state >> 20) % 100000), static_cast<int16_t>(exponent)));
  }
  std::vector<double> back;
  size_t blocks = 0;
  for (std::span<const double> left = values; !left.empty(); ++blocks) {
    const size_t n = LosslessPrefix(left);
    ASSERT_GE(n, 1u);
    std::vector<int64_t> mantissas;
    const int16_t exponent = AppendFloatsToDecimals(mantissas, left.first(n));
    AppendDecimalsToFloats(back, mantissas, exponent);
    left = left.subspan(n);
  }
  EXPECT_GT(blocks, 1u);
  ASSERT_EQ(back.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const Decimal alone = FromFloat(values[i]);
    if (ToFloat(alone.mantissa, alone.exponent) == values[i]) {
      EXPECT_EQ(back[i], values[i]) << i;
    }
  }
}

TEST(LosslessTest, CalibrationIsCheckedWithoutChangingTheArrays) {
  const std::vector<int64_t> small = {1, 2}, fine = {1234}, huge = {18446744073709548}, stale = {kStaleNaNMantissa};
  EXPECT_TRUE(CalibrationIsLossless(small, -1, fine, -3));
  EXPECT_TRUE(CalibrationIsLossless(fine, -3, small, -1));
  EXPECT_FALSE(CalibrationIsLossless(small, 0, huge, 3));
  EXPECT_FALSE(CalibrationIsLossless(huge, 3, small, 0));
  EXPECT_TRUE(CalibrationIsLossless(stale, -1024, fine, -3));
  EXPECT_TRUE(CalibrationIsLossless({}, 5, fine, -3));
  EXPECT_TRUE(CalibrationIsLossless(huge, 3, std::vector<int64_t>{0, 0}, 0));
}

}  // namespace
}  // namespace vm::decimal
