#include <gtest/gtest.h>

#include "select/promql/transform_histograms.h"
#include "select/promql/transform_test_util.h"

namespace vm::select::transform {
namespace {

TEST(TransformHistogramsTest, FindsQuantiles) {
  const auto call = [](double phi, const Series& buckets) {
    Args args;
    args.Add(phi).Add(buckets);
    return Apply("histogram_quantile", std::move(args));
  };
  EXPECT_EQ(call(0.2, Buckets(kBuckets)), "{} 1");
  EXPECT_EQ(call(0.5, Buckets(kBuckets)), "{} 1.75");
  EXPECT_EQ(call(0.9, Buckets(kBuckets)), "{} 4");
  EXPECT_EQ(call(0, Buckets(kBuckets)), "{} 0");
  EXPECT_EQ(call(-1, Buckets(kBuckets)), "{} -inf");
  EXPECT_EQ(call(2, Buckets(kBuckets)), "{} inf");
  EXPECT_EQ(call(kNaN, Buckets(kBuckets)), "{} -");
  EXPECT_EQ(call(0.5, Buckets({{"1", 0}, {"+Inf", 0}})), "{} -");
  EXPECT_EQ(call(0.5, Buckets({{"+Inf", 10}})), "{} -");
  EXPECT_EQ(call(0.5, Buckets({{"1", 2}, {"1.0", 4}})), "{} 0.5");
  EXPECT_EQ(call(0.5, Buckets({{"x", 2}, {"NaN", 2}})), "");
  EXPECT_EQ(call(0.5, Buckets({{"1", 2}}, "other")), "");
  EXPECT_EQ(call(0.5, {}), "");
}

TEST(TransformHistogramsTest, GivesBounds) {
  const auto call = [](const std::string& name, double number) {
    Args args;
    args.Add(number).Add(Buckets(kBuckets)).Add("bound");
    return Apply(name, std::move(args));
  };
  EXPECT_EQ(call("histogram_quantile", 0.5), "{} 1.75\n{bound=lower} 1\n{bound=upper} 2");
  EXPECT_EQ(call("histogram_quantile", 0.9), "{} 4\n{bound=lower} 4\n{bound=upper} inf");
  EXPECT_EQ(call("histogram_quantile", -1), "{} -inf\n{bound=lower} -inf\n{bound=upper} 2");
  EXPECT_EQ(call("histogram_quantile", 2), "{} inf\n{bound=lower} 10\n{bound=upper} inf");
  EXPECT_EQ(call("histogram_share", 3), "{} 0.7\n{bound=lower} 0.6\n{bound=upper} 0.8");
  EXPECT_EQ(call("histogram_share", 2), "{} 0.6\n{bound=lower} 0.6\n{bound=upper} 0.6");
  EXPECT_EQ(call("histogram_share", 5), "{} 0.8\n{bound=lower} 0.8\n{bound=upper} 1");
  EXPECT_EQ(call("histogram_share", -1), "{} 0\n{bound=lower} 0\n{bound=upper} 0");
  EXPECT_EQ(call("histogram_share", kInf), "{} 1\n{bound=lower} 1\n{bound=upper} 1");
  EXPECT_EQ(call("histogram_share", kNaN), "{} -\n{bound=lower} -\n{bound=upper} -");
}

TEST(TransformHistogramsTest, ChecksArguments) {
  EXPECT_EQ(Apply("histogram_quantile", Args().Add(1)), "error: unexpected number of args; got 1; want 2...3");
  EXPECT_EQ(Apply("histogram_quantile", Args().Add(Series()).Add(1)),
            "error: cannot parse phi: arg #1 must be a scalar");
  EXPECT_EQ(Apply("histogram_share", Args().Add(1).Add(Series()).Add(1)),
            "error: cannot parse boundsLabel (arg #3): arg #3 must be a string");
  EXPECT_EQ(Apply("histogram_quantiles", Args().Add(1).Add(1)),
            "error: unexpected number of args: 2; expecting at least 3 args");
  EXPECT_EQ(Apply("histogram_fraction", Args().Add(2).Add(1).Add(Series())),
            "error: lower le cannot be greater than upper le; got lower le: 2.000000, upper le: 1.000000");
  EXPECT_EQ(Apply("histogram_fraction", Args().Add(kInf).Add(kInf).Add(Series())),
            "error: lower le cannot be greater than upper le; got lower le: +Inf, upper le: +Inf");
  EXPECT_EQ(Apply("buckets_limit", Args().Add(-1).Add(Series())), "error: limit must be greater than 0; got -1");
}

TEST(TransformHistogramsTest, ComputesManyQuantilesAndFractions) {
  EXPECT_EQ(Apply("histogram_quantiles", Args().Add("phi").Add(0.2).Add(0.5).Add(Buckets(kBuckets))),
            "{phi=0.2} 1\n{phi=0.5} 1.75");
  EXPECT_EQ(Apply("histogram_fraction", Args().Add(-kInf).Add(3).Add(Buckets(kBuckets))), "{} 0.7");
  EXPECT_EQ(Apply("histogram_fraction", Args().Add(2).Add(kInf).Add(Buckets(kBuckets))), "{} 0.4");
}

TEST(TransformHistogramsTest, ComputesMoments) {
  // Two at 0.5, four at 1.5, two at 3: mean 1.625.
  EXPECT_EQ(Apply("histogram_avg", Args().Add(Buckets(kBuckets))), "{} 1.625");
  EXPECT_EQ(Apply("histogram_stdvar", Args().Add(Buckets(kBuckets))), "{} 0.796875");
  EXPECT_EQ(Apply("histogram_stddev", Args().Add(Buckets(kBuckets))), "{} 0.8926785535678563");
  EXPECT_EQ(Apply("histogram_avg", Args().Add(Buckets({{"1", 0}}))), "{} -");
  EXPECT_EQ(Apply("histogram_stddev", Args().Add(Buckets({{"+Inf", 4}}))), "{} -");
}

TEST(TransformHistogramsTest, ReadsVmranges) {
  const auto list = Buckets({{"1...2", 2}, {"4...6", 3}, {"9...8...7", 1}, {"NaN...1", 1}, {"2...4", 0}}, "vmrange");
  EXPECT_EQ(Apply("prometheus_buckets", Args().Add(list)),
            "h{le=1} 0\nh{le=2} 2\nh{le=4} 2\nh{le=6} 5\nh{le=+Inf} 5");
  EXPECT_EQ(Apply("histogram_quantile", Args().Add(0.4).Add(list)), "{} 2");
}

TEST(TransformHistogramsTest, LimitsBuckets) {
  const auto call = [](double limit, const Series& list) {
    return Apply("buckets_limit", Args().Add(limit).Add(list));
  };
  const auto list = Buckets({{"10", 9}, {"30", 10}, {"70", 20}, {"120", 50}, {"200", 52}, {"300", 98}, {"inf", 100}});
  EXPECT_EQ(call(2, list), "h{le=10} 9\nh{le=300} 98\nh{le=inf} 100");
  EXPECT_EQ(call(7, list), ToText(list));
  EXPECT_EQ(call(1e30, list), ToText(list));
  const auto empty_ends = Buckets({{"1", 0}, {"2", 1}, {"3", 2}, {"4", 3}, {"5", 3}, {"6", 3}});
  EXPECT_EQ(call(3, empty_ends), "h{le=2} 1\nh{le=3} 2\nh{le=4} 3");
  EXPECT_EQ(call(3, Buckets({{"x", 1}, {"1", 1}})), "h{le=1} 1");
}

}  // namespace
}  // namespace vm::select::transform
