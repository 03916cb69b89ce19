#include "select/http/call.h"

#include <algorithm>

#include "select/http/args.h"

namespace vm::select {

Deadline Call::DeadlineOf(int64_t max_ms) const {
  const auto timeout = ParseDurationArg("timeout", args.Get("timeout"), max_ms);
  const int64_t ms = timeout.ok() ? std::min(timeout.value(), max_ms) : max_ms;
  return Deadline(started + std::chrono::milliseconds(ms), stop);
}

int64_t Call::ElapsedMs() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Deadline::Clock::now() - started).count();
}

ResponseInfo Call::Info(const std::string& message) {
  ResponseInfo info;
  info.is_partial = source.is_partial();
  trace.Finish(message);
  trace.AppendJson(info.trace);
  return info;
}

}  // namespace vm::select
