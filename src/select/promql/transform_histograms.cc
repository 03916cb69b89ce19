#include "select/promql/transform_histograms.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "select/promql/transform_util.h"

namespace vm::select {
namespace transform {
namespace {

constexpr std::string_view kLe = "le";
constexpr std::string_view kVmrange = "vmrange";
/// histogram_quantiles multiplies its input by the number of arguments: no more than a gigabyte.
constexpr size_t kMaxQuantilePoints = size_t{128} << 20;

/// The items with equal keys together, in the order in which the keys came.
template <class Item>
class Groups {
 public:
  std::vector<Item>& operator[](const std::string& key) {
    const auto [it, is_new] = positions_.try_emplace(key, lists_.size());
    if (is_new) lists_.emplace_back();
    return lists_[it->second];
  }
  std::vector<std::vector<Item>>& lists() { return lists_; }

 private:
  std::unordered_map<std::string, size_t> positions_;
  std::vector<std::vector<Item>> lists_;
};

/// A bound of a bucket; nullopt when it is no number.
std::optional<double> ParseBound(std::string_view text) {
  const auto bound = ParseGoFloat(text);
  return bound.has_value() && std::isnan(*bound) ? std::nullopt : bound;
}

// ---- vmrange

struct RangeBucket {
  std::string start_text;
  std::string end_text;
  double start;
  double end;
  TimeSeries series;
};

bool HasCounts(const TimeSeries& series) {
  return std::any_of(series.values.begin(), series.values.end(), [](double value) { return value > 0; });
}

/// Put the values of `source` into `target`, unless they are two series rather than parts of one. Staleness may let two
/// points overlap where one part ends; for instant queries nothing can be told.
void MergeNonOverlapping(TimeSeries& target, const TimeSeries& source) {
  constexpr size_t kMaxOverlaps = 2;
  size_t overlaps = 0;
  for (size_t i = 0; i < source.values.size(); ++i) {
    if (!std::isnan(source.values[i]) && !std::isnan(target.values[i])) ++overlaps;
  }
  if (overlaps > kMaxOverlaps || source.values.size() <= 2) return;
  for (size_t i = 0; i < source.values.size(); ++i) {
    if (!std::isnan(source.values[i])) target.values[i] = source.values[i];
  }
}

TimeSeries EmptyBucket(const TimeSeries& like, std::string_view le) {
  TimeSeries series;
  series.name = like.name;
  SetLabel(series.name, kLe, std::string(le));
  series.values.assign(like.values.size(), 0);
  return series;
}

/// Append the cumulative buckets of one histogram.
void AppendCumulative(std::vector<RangeBucket>& buckets, SeriesList& out) {
  std::stable_sort(buckets.begin(), buckets.end(),
                   [](const RangeBucket& a, const RangeBucket& b) { return a.end < b.end; });
  const size_t first = out.size();
  std::unordered_map<std::string_view, size_t> by_bound;  // Text of a bound -> position in `out`.
  double previous_end = 0;
  const RangeBucket* previous = nullptr;
  for (RangeBucket& bucket : buckets) {
    // An empty bucket leaves a gap, which the next one fills.
    if (!HasCounts(bucket.series)) continue;
    if (bucket.start != previous_end && by_bound.try_emplace(bucket.start_text, out.size()).second) {
      out.push_back(EmptyBucket(bucket.series, bucket.start_text));
    }
    const auto [it, is_new] = by_bound.try_emplace(bucket.end_text, out.size());
    if (is_new) {
      out.push_back(std::move(bucket.series));
      SetLabel(out.back().name, kLe, bucket.end_text);
    } else {
      MergeNonOverlapping(out[it->second], bucket.series);
    }
    previous = &bucket;
    previous_end = bucket.end;
  }
  if (previous == nullptr) return;
  if (previous_end != kInf) out.push_back(EmptyBucket(out.back(), "+Inf"));
  for (size_t point = 0; point < out[first].values.size(); ++point) {
    double count = 0;
    for (size_t i = first; i < out.size(); ++i) {
      double& value = out[i].values[point];
      if (value > 0) count += value;
      value = count;
    }
  }
}

// ---- le

/// One histogram: bounds ascending, counts cumulative and by bucket.
struct Histogram {
  model::MetricName name;
  std::vector<double> bounds;
  std::vector<std::vector<double>> counts;

  size_t size() const { return bounds.size(); }
  size_t PointsCount() const { return counts[0].size(); }
};

/// Split into histograms; series without a numeric `le` are dropped, and so are the names.
std::vector<Histogram> MakeHistograms(SeriesList list) {
  struct Bucket {
    double bound;
    TimeSeries* series;
  };
  list = VmrangeBucketsToLe(std::move(list));
  Groups<Bucket> groups;
  std::string key;
  for (TimeSeries& series : list) {
    const auto bound = ParseBound(LabelValue(series.name, kLe));
    if (!bound.has_value()) continue;
    series.name.metric_group.clear();
    RemoveTag(series.name, kLe);
    key.clear();
    SortTagsByKey(series.name);
    AppendNameKey(key, series.name);
    groups[key].push_back({*bound, &series});
  }
  std::vector<Histogram> histograms;
  for (auto& buckets : groups.lists()) {
    std::stable_sort(buckets.begin(), buckets.end(),
                     [](const Bucket& a, const Bucket& b) { return a.bound < b.bound; });
    Histogram& histogram = histograms.emplace_back();
    histogram.name = std::move(buckets[0].series->name);
    for (const Bucket& bucket : buckets) {
      histogram.bounds.push_back(bucket.bound);
      histogram.counts.push_back(std::move(bucket.series->values));
    }
  }
  return histograms;
}

/// Add up buckets with equal bounds, then make the counts ascending.
void MendBuckets(Histogram& histogram) {
  size_t kept = 0;
  for (size_t i = 1; i < histogram.size(); ++i) {
    if (histogram.bounds[i] == histogram.bounds[kept]) {
      for (size_t point = 0; point < histogram.PointsCount(); ++point) {
        histogram.counts[kept][point] += histogram.counts[i][point];
      }
    } else if (++kept != i) {
      histogram.bounds[kept] = histogram.bounds[i];
      histogram.counts[kept] = std::move(histogram.counts[i]);
    }
  }
  histogram.bounds.resize(kept + 1);
  histogram.counts.resize(kept + 1);
  FixBrokenBuckets(histogram.counts);
}

std::vector<Histogram> MakeMendedHistograms(SeriesList list) {
  auto histograms = MakeHistograms(std::move(list));
  for (Histogram& histogram : histograms) MendBuckets(histogram);
  return histograms;
}

/// A value and between which bounds it lies for sure.
struct Estimate {
  double value;
  double lower;
  double upper;
};

/// The estimates at every point: one series, and one each for the bounds when there is a label for them.
void AppendEstimates(const Histogram& histogram, const std::vector<Estimate>& estimates,
                     const std::string& bounds_label, SeriesList& out) {
  const auto append = [&](std::string_view bound, double Estimate::*member) {
    TimeSeries& series = out.emplace_back();
    series.name = histogram.name;
    if (!bound.empty()) {
      RemoveTag(series.name, bounds_label);
      MutableLabel(series.name, bounds_label) = bound;
    }
    series.values.reserve(estimates.size());
    for (const Estimate& estimate : estimates) series.values.push_back(estimate.*member);
  };
  append("", &Estimate::value);
  if (bounds_label.empty()) return;
  append("lower", &Estimate::lower);
  append("upper", &Estimate::upper);
}

Estimate QuantileAt(const Histogram& histogram, size_t point, double phi) {
  if (std::isnan(phi)) return {kNaN, kNaN, kNaN};
  const double last = histogram.counts.back()[point];
  if (last == 0) return {kNaN, kNaN, kNaN};
  if (phi < 0) return {-kInf, -kInf, histogram.counts[0][point]};
  if (phi > 1) return {kInf, last, kInf};
  const double wanted = last * phi;
  double previous = 0;
  double previous_bound = 0;
  for (size_t i = 0; i < histogram.size(); ++i) {
    const double count = histogram.counts[i][point];
    const double bound = histogram.bounds[i];
    if (count <= 0) {
      previous_bound = bound;
      continue;
    }
    if (count < wanted) {
      previous = count;
      previous_bound = bound;
      continue;
    }
    if (std::isinf(bound)) break;
    if (count == previous) return {previous_bound, previous_bound, count};
    const double value = previous_bound + (bound - previous_bound) * (wanted - previous) / (count - previous);
    return {value, previous_bound, bound};
  }
  // It lies in the last bucket, which has no upper bound: the highest bound there is.
  double highest = kNaN;
  for (const double bound : histogram.bounds) {
    if (!std::isinf(bound)) highest = bound;
  }
  return {highest, highest, kInf};
}

Estimate ShareAt(const Histogram& histogram, size_t point, double wanted) {
  if (std::isnan(wanted)) return {kNaN, kNaN, kNaN};
  if (wanted < 0) return {0, 0, 0};
  if (wanted == kInf) return {1, 1, 1};
  double previous = 0;
  double previous_bound = 0;
  for (size_t i = 0; i < histogram.size(); ++i) {
    const double count = histogram.counts[i][point];
    const double bound = histogram.bounds[i];
    if (wanted >= bound) {
      previous = count;
      previous_bound = bound;
      continue;
    }
    const double last = histogram.counts.back()[point];
    const double lower = previous / last;
    if (bound == kInf) return {lower, lower, 1};
    if (previous_bound == wanted) return {lower, lower, lower};
    return {lower + (count - previous) / last * (wanted - previous_bound) / (bound - previous_bound), lower,
            count / last};
  }
  return {1, 1, 1};
}

Status CheckTwoOrThreeArgs(const TransformCall& call) {
  if (call.args.size() == 2 || call.args.size() == 3) return Ok();
  return Invalid("unexpected number of args; got " + std::to_string(call.args.size()) + "; want 2...3");
}

/// Text of the optional third argument.
Result<std::string> BoundsLabelArg(const TransformCall& call) {
  if (call.args.size() < 3) return std::string();
  auto label = TextArg(call.args[2], 3);
  if (!label.ok()) return std::move(label).error().WithContext("cannot parse boundsLabel (arg #3)");
  return label;
}

/// `f(number, buckets[, bounds label])`: `kAt` at every point.
template <auto kAt>
Result<SeriesList> EstimateEach(TransformCall& call, std::string_view noun) {
  VM_TRY(CheckTwoOrThreeArgs(call));
  auto numbers = ScalarArg(call.args[0], 1);
  if (!numbers.ok()) return std::move(numbers).error().WithContext("cannot parse " + std::string(noun));
  VM_ASSIGN_OR_RETURN(const std::string bounds_label, BoundsLabelArg(call));
  SeriesList out;
  std::vector<Estimate> estimates;
  for (const Histogram& histogram : MakeMendedHistograms(std::move(call.args[1]))) {
    VM_TRY(CheckAlive(call.context));
    estimates.clear();
    for (size_t point = 0; point < histogram.PointsCount(); ++point) {
      estimates.push_back(kAt(histogram, point, numbers.value()[point]));
    }
    AppendEstimates(histogram, estimates, bounds_label, out);
  }
  return out;
}

Result<SeriesList> HistogramQuantile(TransformCall& call) { return EstimateEach<QuantileAt>(call, "phi"); }
Result<SeriesList> HistogramShare(TransformCall& call) { return EstimateEach<ShareAt>(call, "le"); }

Result<SeriesList> HistogramQuantiles(TransformCall& call) {
  if (call.args.size() < 3) {
    return Invalid("unexpected number of args: " + std::to_string(call.args.size()) + "; expecting at least 3 args");
  }
  auto label = TextArg(call.args[0], 1);
  if (!label.ok()) return std::move(label).error().WithContext("cannot obtain dstLabel");
  std::vector<std::span<const double>> phis;
  for (size_t i = 1; i + 1 < call.args.size(); ++i) {
    auto phi = ScalarArg(call.args[i], i);
    if (!phi.ok()) return std::move(phi).error().WithContext("cannot parse phi");
    phis.push_back(phi.value());
  }
  const auto histograms = MakeMendedHistograms(std::move(call.args.back()));
  const size_t points = histograms.size() * phis.size() * call.context.PointsCount();
  if (points > kMaxQuantilePoints) {
    return Error(ErrorCode::kLimitExceeded, std::to_string(points) + " points would be generated; the limit is " +
                                                std::to_string(kMaxQuantilePoints));
  }
  SeriesList out;
  for (const auto& phi : phis) {
    std::string text;
    metricsql::AppendGoFloat(text, phi.empty() ? kNaN : phi[0]);
    for (const Histogram& histogram : histograms) {
      VM_TRY(CheckAlive(call.context));
      TimeSeries& series = out.emplace_back();
      series.name = histogram.name;
      RemoveTag(series.name, label.value());
      MutableLabel(series.name, label.value()) = text;
      for (size_t point = 0; point < histogram.PointsCount(); ++point) {
        series.values.push_back(QuantileAt(histogram, point, phi[point]).value);
      }
    }
  }
  return out;
}

/// As Go's `%f`.
std::string FixedText(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  std::array<char, 400> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, 6).ptr;
  return std::string(buffer.data(), end);
}

Result<SeriesList> HistogramFraction(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 3));
  auto lower = ScalarArg(call.args[0], 1);
  if (!lower.ok()) return std::move(lower).error().WithContext("cannot parse lower le");
  auto upper = ScalarArg(call.args[1], 2);
  if (!upper.ok()) return std::move(upper).error().WithContext("cannot parse upper le");
  const auto lows = lower.value();
  const auto highs = upper.value();
  if (!lows.empty() && lows[0] >= highs[0]) {
    return Invalid("lower le cannot be greater than upper le; got lower le: " + FixedText(lows[0]) +
                   ", upper le: " + FixedText(highs[0]));
  }
  SeriesList out;
  for (Histogram& histogram : MakeMendedHistograms(std::move(call.args[2]))) {
    VM_TRY(CheckAlive(call.context));
    TimeSeries& series = out.emplace_back();
    for (size_t point = 0; point < histogram.PointsCount(); ++point) {
      series.values.push_back(ShareAt(histogram, point, highs[point]).value -
                              ShareAt(histogram, point, lows[point]).value);
    }
    series.name = std::move(histogram.name);
  }
  return out;
}

struct Moments {
  double mean;
  double variance;
};

/// Each count sits in the middle of its bucket; what is above the highest bound is left out.
Moments MomentsAt(const Histogram& histogram, size_t point) {
  double previous = 0;
  double previous_bound = 0;
  double sum = 0;
  double sum2 = 0;
  double weights = 0;
  for (size_t i = 0; i < histogram.size(); ++i) {
    const double bound = histogram.bounds[i];
    if (std::isinf(bound)) continue;
    const double middle = (bound + previous_bound) / 2;
    const double count = histogram.counts[i][point];
    const double weight = count - previous;
    sum += middle * weight;
    sum2 += middle * middle * weight;
    weights += weight;
    previous_bound = bound;
    previous = count;
  }
  if (weights == 0) return {kNaN, kNaN};
  const double mean = sum / weights;
  const double variance = sum2 / weights - mean * mean;
  // Rounding may leave it a little below zero.
  return {mean, variance < 0 ? 0 : variance};
}

template <auto kValue>
Result<SeriesList> HistogramMoment(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  SeriesList out;
  for (Histogram& histogram : MakeHistograms(std::move(call.args[0]))) {
    VM_TRY(CheckAlive(call.context));
    TimeSeries& series = out.emplace_back();
    for (size_t point = 0; point < histogram.PointsCount(); ++point) {
      series.values.push_back(kValue(MomentsAt(histogram, point)));
    }
    series.name = std::move(histogram.name);
  }
  return out;
}

Result<SeriesList> PrometheusBuckets(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  return VmrangeBucketsToLe(std::move(call.args[0]));
}

// ---- buckets_limit

struct LimitedBucket {
  double bound;
  double hits = 0;  // Over all points, without those of lower buckets.
  TimeSeries* series;
};

/// Leave `limit` of the sorted `buckets`: those with the fewest hits go. The outer ones stay, for they tell minimum and
/// maximum; empty ones at the ends tell nothing and go first.
Status LimitBuckets(const EvalContext& context, size_t limit, std::vector<LimitedBucket>& buckets) {
  constexpr double kEmpty = 1e-9;
  for (size_t point = 0; point < buckets[0].series->values.size(); ++point) {
    double previous = 0;
    for (LimitedBucket& bucket : buckets) {
      const double value = bucket.series->values[point];
      bucket.hits += value - previous;
      previous = value;
    }
  }
  const auto is_empty = [](const LimitedBucket& bucket) { return std::fabs(bucket.hits) < kEmpty; };
  size_t begin = 0;
  size_t end = buckets.size();
  while (end - begin > limit && is_empty(buckets[end - 1])) --end;
  while (end - begin > limit && is_empty(buckets[begin])) ++begin;
  buckets.erase(buckets.begin() + static_cast<std::ptrdiff_t>(end), buckets.end());
  buckets.erase(buckets.begin(), buckets.begin() + static_cast<std::ptrdiff_t>(begin));
  while (buckets.size() > limit) {
    // Quadratic in the number of buckets, of which a histogram has some hundreds at most, unless somebody is playing.
    VM_TRY(CheckAlive(context));
    size_t least = 1;
    double least_hits = buckets[1].hits + buckets[2].hits;
    for (size_t i = 2; i + 2 < buckets.size(); ++i) {
      const double hits = buckets[i].hits + buckets[i + 1].hits;
      if (hits < least_hits) {
        least = i;
        least_hits = hits;
      }
    }
    buckets[least + 1].hits += buckets[least].hits;
    buckets.erase(buckets.begin() + static_cast<std::ptrdiff_t>(least));
  }
  return Ok();
}

Result<SeriesList> BucketsLimit(TransformCall& call) {
  constexpr int64_t kMinLimit = 3;
  VM_TRY(CheckArgsCount(call, 2));
  VM_ASSIGN_OR_RETURN(const int64_t wanted, IntArg(call.args[0], 1));
  if (wanted <= 0) return Invalid("limit must be greater than 0; got " + std::to_string(wanted));
  const auto limit = static_cast<size_t>(std::max(wanted, kMinLimit));
  SeriesList list = VmrangeBucketsToLe(std::move(call.args[1]));
  Groups<LimitedBucket> groups;
  std::string key;
  for (TimeSeries& series : list) {
    const auto bound = ParseBound(LabelValue(series.name, kLe));
    if (!bound.has_value()) continue;
    model::MetricName name = series.name;
    RemoveTag(name, kLe);
    key.clear();
    AppendNameKey(key, name);
    groups[key].push_back({*bound, 0, &series});
  }
  SeriesList out;
  for (auto& buckets : groups.lists()) {
    if (buckets.size() > limit) {
      std::stable_sort(buckets.begin(), buckets.end(),
                       [](const LimitedBucket& a, const LimitedBucket& b) { return a.bound < b.bound; });
      VM_TRY(LimitBuckets(call.context, limit, buckets));
    }
    for (const LimitedBucket& bucket : buckets) out.push_back(std::move(*bucket.series));
  }
  return out;
}

constexpr Entry kFunctions[] = {
    {"buckets_limit", BucketsLimit},
    {"histogram_avg", HistogramMoment<[](const Moments& moments) { return moments.mean; }>},
    {"histogram_fraction", HistogramFraction},
    {"histogram_quantile", HistogramQuantile},
    {"histogram_quantiles", HistogramQuantiles},
    {"histogram_share", HistogramShare},
    {"histogram_stddev", HistogramMoment<[](const Moments& moments) { return std::sqrt(moments.variance); }>},
    {"histogram_stdvar", HistogramMoment<[](const Moments& moments) { return moments.variance; }>},
    {"prometheus_buckets", PrometheusBuckets},
};

}  // namespace

std::span<const Entry> HistogramFunctions() { return kFunctions; }

}  // namespace transform

void FixBrokenBuckets(std::vector<std::vector<double>>& counts) {
  if (counts.size() < 2) return;
  for (size_t point = 0; point < counts[0].size(); ++point) {
    double previous = std::isnan(counts[0][point]) ? 0 : counts[0][point];
    for (auto& bucket : counts) {
      double& count = bucket[point];
      if (std::isnan(count) || previous > count) count = previous;
      previous = count;
    }
  }
}

std::vector<TimeSeries> VmrangeBucketsToLe(std::vector<TimeSeries> list) {
  using transform::LabelValue;
  constexpr std::string_view kDots = "...";
  std::vector<TimeSeries> out;
  transform::Groups<transform::RangeBucket> groups;
  std::string key;
  for (TimeSeries& series : list) {
    const std::string range(LabelValue(series.name, transform::kVmrange));
    if (range.empty()) {
      if (!LabelValue(series.name, transform::kLe).empty()) out.push_back(std::move(series));
      continue;
    }
    const size_t dots = range.find(kDots);
    if (dots == std::string::npos) continue;
    std::string start_text = range.substr(0, dots);
    std::string end_text = range.substr(dots + kDots.size());
    const auto start = transform::ParseBound(start_text);
    const auto end = transform::ParseBound(end_text);
    if (!start.has_value() || !end.has_value()) continue;
    RemoveTag(series.name, transform::kLe);
    RemoveTag(series.name, transform::kVmrange);
    key.clear();
    SortTagsByKey(series.name);
    AppendNameKey(key, series.name);
    groups[key].push_back({std::move(start_text), std::move(end_text), *start, *end, std::move(series)});
  }
  for (auto& buckets : groups.lists()) transform::AppendCumulative(buckets, out);
  return out;
}

}  // namespace vm::select
