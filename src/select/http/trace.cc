#include "select/http/trace.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "select/format/json.h"

namespace vm::select {
namespace {

double MsBetween(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

}  // namespace

void AppendTraceJson(std::string& dst, double duration_ms, std::string_view message, std::string_view children) {
  // Three digits after the point, without trailing zeros.
  dst += "{\"duration_msec\":";
  AppendJsonFloat(dst, static_cast<double>(static_cast<int64_t>(duration_ms * 1000 + 0.5)) / 1000);
  dst += ",\"message\":";
  AppendGoJsonString(dst, message);
  if (!children.empty()) {
    dst += ",\"children\":";
    dst += children;
  }
  dst += '}';
}

Trace::Trace(bool enabled, std::string message) : enabled_(enabled), last_(Clock::now()) {
  if (!enabled_) return;
  steps_.push_back({std::move(message), last_, -1, {}, {}});
  open_.push_back(0);
}

Trace::Step& Trace::Push(std::string message) {
  steps_[open_.back()].children.push_back(steps_.size());
  steps_.push_back({std::move(message), last_, -1, {}, {}});
  return steps_.back();
}

void Trace::Begin(std::string message) {
  if (open_.empty()) return;
  last_ = Clock::now();
  Push(std::move(message));
  open_.push_back(steps_.size() - 1);
}

void Trace::End(std::string_view message) {
  if (open_.size() < 2) return;
  Step& step = steps_[open_.back()];
  open_.pop_back();
  last_ = Clock::now();
  step.duration_ms = MsBetween(step.started, last_);
  if (!message.empty()) step.message.append(": ").append(message);
}

void Trace::Add(std::string message) {
  if (open_.empty()) return;
  const auto from = std::exchange(last_, Clock::now());
  Push(std::move(message)).duration_ms = MsBetween(from, last_);
}

void Trace::AddDone(std::string message, double duration_ms, std::string children) {
  if (open_.empty()) return;
  last_ = Clock::now();
  Step& step = Push(std::move(message));
  step.duration_ms = duration_ms;
  step.done_children = std::move(children);
}

void Trace::Finish(std::string_view message) {
  if (open_.empty()) return;
  while (open_.size() > 1) End();
  steps_[0].duration_ms = MsBetween(steps_[0].started, Clock::now());
  if (!message.empty()) steps_[0].message.append(": ").append(message);
  open_.clear();
}

void Trace::AppendStep(std::string& dst, const Step& step) const {
  std::string children = step.done_children;
  for (const size_t child : step.children) {
    children += children.empty() ? '[' : ',';
    AppendStep(children, steps_[child]);
  }
  if (!step.children.empty()) children += ']';
  AppendTraceJson(dst, step.duration_ms >= 0 ? step.duration_ms : MsBetween(step.started, Clock::now()), step.message, children);
}

void Trace::AppendJson(std::string& dst) const {
  if (!enabled_) return;
  dst += ",\"trace\":";
  AppendStep(dst, steps_[0]);
}

std::string NodeStepsJson(const CallTrace& trace) {
  std::string nodes;
  for (const auto& node : trace.nodes) {
    const std::string call = "rpc call " + node.rpc_name + "()";
    std::string rpc = "[";
    // What is no JSON would break the answer.
    const bool is_json = nlohmann::json::accept(node.json);
    AppendTraceJson(rpc, node.duration_ms, call, is_json ? "[" + node.json + "]" : std::string());
    rpc += ']';
    nodes += nodes.empty() ? '[' : ',';
    AppendTraceJson(nodes, node.duration_ms, "rpc at vmstorage " + node.addr + (node.error.empty() ? "" : ": error: " + node.error), rpc);
  }
  if (!nodes.empty()) nodes += ']';
  return nodes;
}

}  // namespace vm::select
