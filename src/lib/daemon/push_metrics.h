#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"

namespace vm::daemon {

struct PushOptions {
  std::vector<std::string> urls;           // -pushmetrics.url
  std::chrono::milliseconds interval{10'000};
  std::vector<std::string> extra_labels;   // `name="value"` each.
  std::vector<std::string> headers;        // `Name: value` each.
  bool disable_compression = false;
};

/// Sends the text of /metrics to each URL, every interval, as the reference does: a GET with a body. Counts itself in
/// `metrics_push_*{url="..."}`. Reference: VictoriaMetrics/metrics push.go.
class MetricsPusher {
 public:
  /// `write` returns the text to push; it is called on an io thread. Errors: kInvalidInput naming the bad option.
  static Result<std::unique_ptr<MetricsPusher>> Start(net::Runtime& runtime, PushOptions options,
                                                      metrics::Registry& registry,
                                                      std::function<std::string()> write);
  /// Stops.
  ~MetricsPusher();
  MetricsPusher(const MetricsPusher&) = delete;
  MetricsPusher& operator=(const MetricsPusher&) = delete;

  /// End all pushes; not on an io thread.
  void Stop();

 private:
  struct Impl;
  explicit MetricsPusher(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

/// Put `extra_labels` in front of the labels of each sample line in `text`; comments stay.
std::string AddPushLabels(std::string_view text, std::string_view extra_labels);

}  // namespace vm::daemon
