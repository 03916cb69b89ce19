#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace vm::select {

/// What `trace=1` tells about a request: a root with one child per step. One coroutine at a time.
class Trace {
 public:
  Trace(bool enabled, std::string message);

  bool enabled() const noexcept { return enabled_; }
  /// Note a step that has just ended, with the time since the one before.
  void Add(std::string message);
  /// End the root with more text; later steps are ignored.
  void Finish(std::string_view message);
  /// Append `,"trace":{...}`, or nothing when off.
  void AppendJson(std::string& dst) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Step {
    double duration_ms;
    std::string message;
  };

  const bool enabled_;
  std::string message_;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point last_ = started_;
  double duration_ms_ = -1;  // Until Finish.
  std::vector<Step> steps_;
};

}  // namespace vm::select
