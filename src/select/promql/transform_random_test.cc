#include <gtest/gtest.h>

#include <cstdio>

#include "select/promql/transform_random.h"
#include "select/promql/transform_test_util.h"

namespace vm::select::transform {
namespace {

TEST(GoRandomTest, GivesTheSequencesOfGo) {
  const auto texts = [](int64_t seed, double (GoRandom::*draw)()) {
    GoRandom random(seed);
    std::string text;
    char buffer[32];
    for (int i = 0; i < 6; ++i) {
      std::snprintf(buffer, sizeof(buffer), "%.4f ", (random.*draw)());
      text += buffer;
    }
    return text;
  };
  EXPECT_EQ(texts(0, &GoRandom::Uniform), "0.9452 0.2450 0.6560 0.0543 0.3676 0.2895 ");
  EXPECT_EQ(texts(1, &GoRandom::Uniform), "0.6047 0.9405 0.6646 0.4377 0.4246 0.6868 ");
  EXPECT_EQ(texts(0, &GoRandom::Normal), "-0.2816 0.5709 -1.6920 0.1996 1.9195 0.8955 ");
  EXPECT_EQ(texts(0, &GoRandom::Exponential), "4.6681 0.1602 3.0466 0.0639 1.8579 0.7847 ");
  EXPECT_EQ(texts(2147483647, &GoRandom::Uniform), texts(0, &GoRandom::Uniform));
  EXPECT_EQ(texts(-2147483646, &GoRandom::Uniform), texts(1, &GoRandom::Uniform));
}

TEST(GoRandomTest, HasTheExpectedMoments) {
  GoRandom random(42);
  constexpr int kDraws = 200000;
  double sum = 0, sum2 = 0, exponential = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double normal = random.Normal();
    sum += normal;
    sum2 += normal * normal;
    exponential += random.Exponential();
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.01);
  EXPECT_NEAR(sum2 / kDraws, 1, 0.01);
  EXPECT_NEAR(exponential / kDraws, 1, 0.01);
}

TEST(GoRandomTest, SeedsAreCutToIntegers) {
  EXPECT_EQ(Apply("rand", Args().Add(1.9)), Apply("rand", Args().Add(1)));
  EXPECT_EQ(Apply("rand", Args().Add(kNaN)), Apply("rand", Args().Add(-kInf)));
  EXPECT_EQ(Apply("rand", Args().Add(1).Add(1)), "error: unexpected number of args; got 2; want 0 or 1");
  EXPECT_EQ(Apply("rand", Args().Add(Series())), "error: arg #1 must be a scalar");
}

}  // namespace
}  // namespace vm::select::transform
