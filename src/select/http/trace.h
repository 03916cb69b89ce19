#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "select/fanout/call_trace.h"

namespace vm::select {

/// What `trace=1` tells about a request: a tree of steps. One coroutine at a time.
class Trace {
 public:
  Trace(bool enabled, std::string message);

  bool enabled() const noexcept { return enabled_; }
  /// Begin a step inside the one that was begun last; steps up to the matching End lie in it.
  void Begin(std::string message);
  /// End it, with more text.
  void End(std::string_view message = {});
  /// Note a step that has just ended, with the time since the one before.
  void Add(std::string message);
  /// The same with its time and its children as JSON, "[...]" or empty.
  void AddDone(std::string message, double duration_ms, std::string children);
  /// End the root with more text; later steps are ignored.
  void Finish(std::string_view message);
  /// Append `,"trace":{...}`, or nothing when off.
  void AppendJson(std::string& dst) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Step {
    std::string message;
    Clock::time_point started;
    double duration_ms = -1;        // Until its end.
    std::string done_children;      // JSON.
    std::vector<size_t> children;   // In steps_.
  };

  Step& Push(std::string message);
  void AppendStep(std::string& dst, const Step& step) const;

  const bool enabled_;
  Clock::time_point last_;        // When the step before ended.
  std::vector<Step> steps_;       // The first is the root.
  std::vector<size_t> open_;      // Begun and not ended, outermost first.
};

/// `{"duration_msec":...,"message":...}` with children, which are JSON or empty.
void AppendTraceJson(std::string& dst, double duration_ms, std::string_view message, std::string_view children);

/// The nodes of a call as steps: "[{...}]", or empty without any.
std::string NodeStepsJson(const CallTrace& trace);

}  // namespace vm::select
