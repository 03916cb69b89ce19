#include "select/http/trace.h"

#include <fmt/format.h>

#include "select/format/json.h"

namespace vm::select {
namespace {

double MsBetween(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

// Three digits after the point, without trailing zeros.
void AppendStep(std::string& dst, double duration_ms, std::string_view message) {
  dst += "{\"duration_msec\":";
  AppendJsonFloat(dst, static_cast<double>(static_cast<int64_t>(duration_ms * 1000 + 0.5)) / 1000);
  dst += ",\"message\":";
  AppendGoJsonString(dst, message);
}

}  // namespace

Trace::Trace(bool enabled, std::string message) : enabled_(enabled), message_(std::move(message)) {}

void Trace::Add(std::string message) {
  if (!enabled_ || duration_ms_ >= 0) return;
  const auto now = Clock::now();
  steps_.push_back({MsBetween(last_, now), std::move(message)});
  last_ = now;
}

void Trace::Finish(std::string_view message) {
  if (!enabled_ || duration_ms_ >= 0) return;
  if (!message.empty()) message_ += fmt::format(": {}", message);
  duration_ms_ = MsBetween(started_, Clock::now());
}

void Trace::AppendJson(std::string& dst) const {
  if (!enabled_) return;
  dst += ",\"trace\":";
  AppendStep(dst, duration_ms_ >= 0 ? duration_ms_ : MsBetween(started_, Clock::now()), message_);
  const char* separator = ",\"children\":[";
  for (const auto& step : steps_) {
    dst += separator;
    AppendStep(dst, step.duration_ms, step.message);
    dst += '}';
    separator = ",";
  }
  dst += steps_.empty() ? "}" : "]}";
}

}  // namespace vm::select
