#include "lib/metrics/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "lib/base/check.h"

namespace vm::metrics {
namespace {

constexpr int kMinExponent = -9;

/// Split "name{labels}" in "name" and "labels".
std::pair<std::string_view, std::string_view> SplitName(std::string_view name) {
  const size_t brace = name.find('{');
  if (brace == std::string_view::npos) return {name, {}};
  std::string_view labels = name.substr(brace + 1);
  if (!labels.empty() && labels.back() == '}') labels.remove_suffix(1);
  return {name.substr(0, brace), labels};
}

std::string BucketBound(int index, int per_decade) {
  const double exponent = kMinExponent + static_cast<double>(index) / per_decade;
  return fmt::format("{:.3e}", std::pow(10, exponent));
}

}  // namespace

void Histogram::Update(double value) {
  MutexLock lock(mutex_);
  UpdateLocked(value);
}

void Histogram::UpdateAll(std::span<const double> values) {
  MutexLock lock(mutex_);
  for (const double value : values) UpdateLocked(value);
}

void Histogram::UpdateLocked(double value) {
  if (std::isnan(value) || value < 0) return;
  const double position = (std::log10(value) - kMinExponent) * kBucketsPerDecade;
  sum_ += value;
  if (position < 0) {
    ++lower_;
  } else if (position >= kDecades * kBucketsPerDecade) {
    // The last bucket includes its upper bound.
    if (position == kDecades * kBucketsPerDecade) {
      ++buckets_[kDecades * kBucketsPerDecade - 1];
    } else {
      ++upper_;
    }
  } else {
    auto index = static_cast<size_t>(position);
    // Buckets exclude their lower bound: 10 belongs to the bucket that ends at 10.
    if (static_cast<double>(index) == position && index > 0) --index;
    ++buckets_[index];
  }
}

void Summary::Reservoir::Update(double value, uint64_t random) {
  min = count == 0 ? value : std::min(min, value);
  max = count == 0 ? value : std::max(max, value);
  ++count;
  if (samples.size() < kMaxSamples) {
    samples.push_back(value);
  } else if (const uint64_t at = random % count; at < kMaxSamples) {
    samples[at] = value;
  }
}

double Summary::Reservoir::Quantile(double phi, const std::vector<double>& sorted) const {
  if (phi >= 1) return max;
  return sorted[static_cast<size_t>(phi * static_cast<double>(sorted.size() - 1) + 0.5)];
}

void Summary::RotateLocked(std::chrono::steady_clock::time_point now) {
  for (int i = 0; i < 2 && now >= rotate_at_; ++i) {
    current_ = std::exchange(next_, Reservoir());
    rotate_at_ += kHalfWindow;
  }
  if (now >= rotate_at_) rotate_at_ = now + kHalfWindow;
}

void Summary::Update(double value) {
  MutexLock lock(mutex_);
  RotateLocked(std::chrono::steady_clock::now());
  random_ = random_ * 6364136223846793005 + 1442695040888963407;
  const uint64_t random = random_ >> 32;
  current_.Update(value, random);
  next_.Update(value, random);
  sum_ += value;
  ++count_;
}

template <class T>
T& Registry::Get(std::string_view name, std::unique_ptr<T> Entry::*kind) {
  MutexLock lock(mutex_);
  Entry& entry = entries_[std::string(name)];
  auto& metric = entry.*kind;
  if (!metric) {
    VM_CHECK_MSG(!entry.counter && !entry.gauge && !entry.histogram && !entry.summary && !entry.read, name);
    metric = std::make_unique<T>();
  }
  return *metric;
}

Counter& Registry::GetCounter(std::string_view name) { return Get(name, &Entry::counter); }
Gauge& Registry::GetGauge(std::string_view name) { return Get(name, &Entry::gauge); }
Histogram& Registry::GetHistogram(std::string_view name) { return Get(name, &Entry::histogram); }
Summary& Registry::GetSummary(std::string_view name) { return Get(name, &Entry::summary); }

void Registry::SetCallback(std::string_view name, std::function<double()> read, bool is_counter) {
  MutexLock lock(mutex_);
  Entry& entry = entries_[std::string(name)];
  VM_CHECK_MSG(!entry.counter && !entry.gauge && !entry.histogram && !entry.summary, name);
  entry.read = std::move(read);
  entry.is_read_counter = is_counter;
}

void Registry::SetGaugeCallback(std::string_view name, std::function<double()> read) {
  SetCallback(name, std::move(read), false);
}

void Registry::SetCounterCallback(std::string_view name, std::function<double()> read) {
  SetCallback(name, std::move(read), true);
}

void Registry::RemoveGaugeCallback(std::string_view name) {
  MutexLock lock(mutex_);
  const auto it = entries_.find(name);
  if (it != entries_.end() && it->second.read) entries_.erase(it);
}

void AppendMetadata(std::string& dst, std::string_view name, std::string_view type) {
  fmt::format_to(std::back_inserter(dst), "# HELP {0}\n# TYPE {0} {1}\n", name, type);
}

void Registry::Write(std::string& dst, bool with_metadata) const {
  std::set<std::string_view> described;
  // Callbacks run under the lock, so that RemoveGaugeCallback can promise they are over.
  MutexLock lock(mutex_);
  for (const auto& [name, entry] : entries_) {
    if (with_metadata && described.insert(SplitName(name).first).second) {
      AppendMetadata(dst, SplitName(name).first,
                     entry.counter || entry.is_read_counter ? "counter"
                     : entry.histogram                      ? "histogram"
                     : entry.summary                        ? "summary"
                                                            : "gauge");
    }
    if (entry.counter) {
      fmt::format_to(std::back_inserter(dst), "{} {}\n", name, entry.counter->Get());
    } else if (entry.gauge || entry.read) {
      dst += name;
      dst += ' ';
      AppendValue(dst, entry.gauge ? entry.gauge->Get() : entry.read());
      dst += '\n';
    } else if (entry.summary) {
      Summary& summary = *entry.summary;
      MutexLock summary_lock(summary.mutex_);
      if (summary.count_ == 0) continue;
      summary.RotateLocked(std::chrono::steady_clock::now());
      const auto [base, labels] = SplitName(name);
      std::vector<double> sorted = summary.current_.samples;
      std::sort(sorted.begin(), sorted.end());
      for (const double phi : {0.5, 0.9, 0.97, 0.99, 1.0}) {
        fmt::format_to(std::back_inserter(dst), "{}{{{}{}quantile=\"{}\"}} ", base, labels, labels.empty() ? "" : ",",
                       phi);
        AppendValue(dst, sorted.empty() ? std::nan("") : summary.current_.Quantile(phi, sorted));
        dst += '\n';
      }
      const std::string suffix = labels.empty() ? "" : fmt::format("{{{}}}", labels);
      fmt::format_to(std::back_inserter(dst), "{}_sum{} ", base, suffix);
      AppendValue(dst, summary.sum_);
      fmt::format_to(std::back_inserter(dst), "\n{}_count{} {}\n", base, suffix, summary.count_);
    } else if (entry.histogram) {
      const Histogram& h = *entry.histogram;
      MutexLock histogram_lock(h.mutex_);
      const auto [base, labels] = SplitName(name);
      const std::string prefix =
          labels.empty() ? fmt::format("{}_bucket{{vmrange=", base)
                         : fmt::format("{}_bucket{{{},vmrange=", base, labels);
      const std::string suffix = labels.empty() ? "" : fmt::format("{{{}}}", labels);
      uint64_t count = 0;
      const auto add = [&](std::string_view range, uint64_t n) {
        if (n == 0) return;
        count += n;
        fmt::format_to(std::back_inserter(dst), "{}\"{}\"}} {}\n", prefix, range, n);
      };
      add("0...1.000e-09", h.lower_);
      for (int i = 0; i < Histogram::kDecades * Histogram::kBucketsPerDecade; ++i) {
        const uint64_t n = h.buckets_[static_cast<size_t>(i)];
        if (n == 0) continue;
        add(BucketBound(i, Histogram::kBucketsPerDecade) + "..." +
                BucketBound(i + 1, Histogram::kBucketsPerDecade),
            n);
      }
      add("1.000e+18...+Inf", h.upper_);
      if (count == 0) continue;
      fmt::format_to(std::back_inserter(dst), "{}_sum{} ", base, suffix);
      AppendValue(dst, h.sum_);
      fmt::format_to(std::back_inserter(dst), "\n{}_count{} {}\n", base, suffix, count);
    }
  }
}

void AppendValue(std::string& dst, double value) {
  if (std::isnan(value)) {
    dst += "NaN";
  } else if (std::isinf(value)) {
    dst += value > 0 ? "+Inf" : "-Inf";
  } else if (std::abs(value) < 9.2e18 && value == std::trunc(value)) {
    fmt::format_to(std::back_inserter(dst), "{}", static_cast<int64_t>(value));
  } else if (std::abs(value) >= 1e6) {
    // Go's %g: shortest digits, with an exponent from 1e6 on.
    std::array<char, 32> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                   std::chars_format::scientific).ptr;
    dst.append(text.data(), end);
  } else {
    fmt::format_to(std::back_inserter(dst), "{}", value);
  }
}

}  // namespace vm::metrics
