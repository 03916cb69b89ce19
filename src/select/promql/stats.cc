#include "select/promql/stats.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

namespace vm::select {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

/// Position of a quantile between two neighbours in sorted order.
struct Rank {
  size_t lower;
  size_t upper;
  double weight;
};

Rank RankOf(double phi, size_t count) {
  const auto n = static_cast<double>(count);
  const double rank = phi * (n - 1);
  const double lower = std::max(0.0, std::floor(rank));
  const double upper = std::min(n - 1, lower + 1);
  return {static_cast<size_t>(lower), static_cast<size_t>(upper), rank - std::floor(rank)};
}

/// True when phi or the count alone decide, with the answer in `result`.
bool IsTrivialQuantile(double phi, size_t count, double& result) {
  if (count == 0 || std::isnan(phi)) {
    result = kNaN;
  } else if (phi < 0) {
    result = -kInf;
  } else if (phi > 1) {
    result = kInf;
  } else {
    return false;
  }
  return true;
}

/// log10 as Go computes it: which side of a bound a value falls on depends on the last bit.
double GoLog10(double value) {
  constexpr double kLn2 = 0.693147180559945309417232121458176568;
  constexpr double kLn10 = 2.30258509299404568401799145468436421;
  int exponent;
  const double fraction = std::frexp(value, &exponent);
  const double log2 = fraction == 0.5 ? exponent - 1 : std::log(fraction) * (1 / kLn2) + exponent;
  return log2 * (kLn2 / kLn10);
}

double Interpolate(double lower, double upper, double weight) { return lower * (1 - weight) + upper * weight; }

}  // namespace

void CopyValues(std::vector<double>& dst, std::span<const double> values) {
  dst.resize(values.size());
  size_t count = 0;
  for (const double v : values) {
    dst[count] = v;
    count += !std::isnan(v);
  }
  dst.resize(count);
}

double SelectQuantile(double phi, std::span<double> values) {
  double result;
  if (IsTrivialQuantile(phi, values.size(), result)) return result;
  const Rank rank = RankOf(phi, values.size());
  const auto lower = values.begin() + static_cast<ptrdiff_t>(rank.lower);
  std::nth_element(values.begin(), lower, values.end());
  const double upper = rank.upper == rank.lower ? *lower : *std::min_element(lower + 1, values.end());
  return Interpolate(*lower, upper, rank.weight);
}

double SortedQuantile(double phi, std::span<const double> values) {
  double result;
  if (IsTrivialQuantile(phi, values.size(), result)) return result;
  const Rank rank = RankOf(phi, values.size());
  return Interpolate(values[rank.lower], values[rank.upper], rank.weight);
}

double Quantile(double phi, std::span<const double> values, std::vector<double>& scratch) {
  CopyValues(scratch, values);
  return SelectQuantile(phi, scratch);
}

OutlierBounds InterquartileBounds(std::span<const double> values, std::vector<double>& scratch) {
  CopyValues(scratch, values);
  const double q25 = SelectQuantile(0.25, scratch);
  const double q75 = SelectQuantile(0.75, scratch);
  const double distance = 1.5 * (q75 - q25);
  return {q25 - distance, q75 + distance};
}

double Stdvar(std::span<const double> values) {
  if (values.empty()) return kNaN;
  if (values.size() == 1) return 0;
  double mean = 0, count = 0, q = 0;
  for (const double v : values) {
    if (std::isnan(v)) continue;
    ++count;
    const double next = mean + (v - mean) / count;
    q += (v - mean) * (v - next);
    mean = next;
  }
  return count == 0 ? kNaN : q / count;
}

double MedianDeviation(std::span<const double> values, std::vector<double>& scratch) {
  const double median = Quantile(0.5, values, scratch);
  for (double& v : scratch) v = std::fabs(v - median);
  // Infinite values around an infinite median have no distance.
  std::erase_if(scratch, [](double v) { return std::isnan(v); });
  return SelectQuantile(0.5, scratch);
}

double Mode(double previous, std::span<double> values) {
  if (values.empty()) return previous;
  std::sort(values.begin(), values.end());
  ptrdiff_t start = -1, longest = 0, i = 0;
  double mode = previous;
  const auto end_run = [&](ptrdiff_t end) {
    if (end - start > longest || std::isnan(mode)) {
      longest = end - start;
      mode = previous;
    }
  };
  for (; i < static_cast<ptrdiff_t>(values.size()); ++i) {
    const double v = values[static_cast<size_t>(i)];
    if (v == previous) continue;
    end_run(i);
    start = i;
    previous = v;
  }
  end_run(i);
  return mode;
}

Line LinearRegression(std::span<const double> values, std::span<const int64_t> timestamps, int64_t timestamp) {
  if (values.empty()) return {kNaN, kNaN};
  if (std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; }) || values.size() == 1) {
    return {values[0], 0};
  }
  double v_sum = 0, t_sum = 0, tv_sum = 0, tt_sum = 0, n = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double v = values[i];
    if (std::isnan(v)) continue;
    const double t = static_cast<double>(timestamps[i] - timestamp) / 1e3;
    v_sum += v;
    t_sum += t;
    tv_sum += t * v;
    tt_sum += t * t;
    ++n;
  }
  if (n == 0) return {kNaN, kNaN};
  double slope = 0;
  const double spread = tt_sum - t_sum * t_sum / n;
  if (std::fabs(spread) >= 1e-6) slope = (tv_sum - t_sum * v_sum / n) / spread;
  return {v_sum / n - slope * t_sum / n, slope};
}

void VmrangeHistogram::Add(double value) {
  if (std::isnan(value) || value < 0) return;
  const double position = (GoLog10(value) - kMinExponent) * kPerDecade;
  if (position < 0) {
    ++lower_;
    return;
  }
  if (position >= static_cast<double>(kRangesCount)) {
    ++upper_;
    return;
  }
  auto i = static_cast<size_t>(position);
  // Ranges do not hold their lower bound.
  if (static_cast<double>(i) == position && i > 0) --i;
  ++counts_[i];
  first_ = std::min(first_, i);
  last_ = std::max(last_, i + 1);
}

void VmrangeHistogram::Reset() {
  for (size_t i = first_; i < last_; ++i) counts_[i] = 0;
  first_ = kRangesCount;
  last_ = 0;
  lower_ = upper_ = 0;
}

const std::array<std::string, VmrangeHistogram::kRangesCount>& VmrangeHistogram::Ranges() {
  static const auto ranges = [] {
    std::array<std::string, kRangesCount> list;
    const double factor = std::pow(10, 1.0 / kPerDecade);
    double bound = 1e-9;
    char text[16];
    std::snprintf(text, sizeof text, "%.3e", bound);
    std::string start = text;
    for (auto& range : list) {
      bound *= factor;
      std::snprintf(text, sizeof text, "%.3e", bound);
      range = start + "..." + text;
      start = text;
    }
    return list;
  }();
  return ranges;
}

void AppendFixed(std::string& dst, double value) {
  if (std::isnan(value)) {
    dst += "NaN";
    return;
  }
  if (std::isinf(value)) {
    dst += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  // Shortest digits come only with an exponent: spread them out.
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  const char* p = text;
  if (*p == '-') dst += *p++;
  std::string digits;
  for (; *p != 'e'; ++p) {
    if (*p != '.') digits += *p;
  }
  ++p;
  if (*p == '+') ++p;
  int exponent = 0;
  std::from_chars(p, end, exponent);
  const int point = exponent + 1;  // Digits before the point.
  const int count = static_cast<int>(digits.size());
  if (point <= 0) {
    dst += "0.";
    dst.append(static_cast<size_t>(-point), '0');
    dst += digits;
  } else if (point >= count) {
    dst += digits;
    dst.append(static_cast<size_t>(point - count), '0');
  } else {
    dst.append(digits, 0, static_cast<size_t>(point));
    dst += '.';
    dst.append(digits, static_cast<size_t>(point));
  }
}

int64_t BoundedInt(double value) {
  constexpr double kLimit = 9223372036854775808.0;
  if (value >= kLimit) return std::numeric_limits<int64_t>::max();
  if (!(value > -kLimit)) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

}  // namespace vm::select
