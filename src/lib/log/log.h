#pragma once

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "lib/base/result.h"
#include "lib/log/time_zone.h"

namespace vm::log {

enum class Level : uint8_t { kInfo, kWarn, kError, kFatal, kPanic };

/// Keys of JSON lines (-loggerJSONFields).
struct JsonFields {
  std::string ts = "ts";
  std::string level = "level";
  std::string caller = "caller";
  std::string msg = "msg";
};

struct Options {
  Level min_level = Level::kInfo;
  bool json = false;
  bool to_stdout = false;
  bool disable_timestamps = false;
  JsonFields json_fields;
  std::shared_ptr<const TimeZone> time_zone;  // UTC when empty.
  uint64_t errors_per_second_limit = 0;       // Per call site; 0: no limit.
  uint64_t warns_per_second_limit = 0;
  size_t max_arg_length = 5000;               // Longer texts among the arguments are cut in the middle.
  /// Called for each message, e.g. to count `vm_log_messages_total`; `is_printed` is false for those that
  /// a level or a rate limit holds back. Must not log.
  std::function<void(Level, std::string_view location, bool is_printed)> on_message;
};

/// "INFO", "WARN", ... as flags spell them.
Result<Level> ParseLevel(std::string_view text);
std::string_view LevelName(Level level);
/// `ts:time,msg:message`. Errors: kInvalidInput.
Result<JsonFields> ParseJsonFields(std::string_view text);

/// Set up the logger. Call once, before threads start; without it lines go to stderr with defaults.
void Init(Options options);
/// Forget on_message; it may still be running in another thread.
void DropObserver();

/// Write one line. Thread-safe. `file` is shortened to the part after "src/".
void Write(Level level, const char* file, int line, std::string_view message);
/// Write one FATAL line and end the process with exit code -1 (255).
[[noreturn]] void WriteFatal(const char* file, int line, std::string_view message);

/// The line that Write writes, without line end. `unix_ms` is the time shown.
std::string FormatLine(const Options& options, Level level, std::string_view location,
                       std::string_view message, int64_t unix_ms);

/// `text`, or its head and tail around ".." when it is longer than the limit.
std::string Shorten(std::string_view text, size_t max_length);
/// -loggerMaxArgLen.
size_t MaxArgLength();

namespace detail {
template <class T>
decltype(auto) LimitArg(const T& arg) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    return Shorten(std::string_view(arg), MaxArgLength());
  } else {
    return (arg);
  }
}
}  // namespace detail

/// fmt::format with long texts among the arguments shortened.
template <class... Args>
std::string Format(fmt::format_string<const Args&...> format, const Args&... args) {
  return fmt::vformat(format, fmt::make_format_args(detail::LimitArg(args)...));
}

/// Lets one message through per interval. Thread-safe.
class Throttle {
 public:
  explicit Throttle(std::chrono::milliseconds interval) : interval_(interval) {}

  /// The number of messages held back since the last one, or nothing when this one is to be held back.
  std::optional<uint64_t> Pass();

 private:
  const std::chrono::milliseconds interval_;
  std::atomic<int64_t> next_ms_{0};  // Of the steady clock.
  std::atomic<uint64_t> dropped_{0};
};

}  // namespace vm::log

#define VM_LOG_AT_(level, ...) ::vm::log::Write(level, __FILE__, __LINE__, ::vm::log::Format(__VA_ARGS__))
#define VM_LOG_INFO(...) VM_LOG_AT_(::vm::log::Level::kInfo, __VA_ARGS__)
#define VM_LOG_WARN(...) VM_LOG_AT_(::vm::log::Level::kWarn, __VA_ARGS__)
#define VM_LOG_ERROR(...) VM_LOG_AT_(::vm::log::Level::kError, __VA_ARGS__)
/// Warn unless `throttle` holds the message back.
#define VM_LOG_WARN_THROTTLED(throttle, ...)                                                                  \
  do {                                                                                                        \
    if (const auto vm_dropped_ = (throttle).Pass(); vm_dropped_.has_value()) {                                \
      ::vm::log::Write(::vm::log::Level::kWarn, __FILE__, __LINE__,                                           \
                       ::vm::log::Format(__VA_ARGS__) +                                                       \
                           ::fmt::format(". (Similar {} log messages were dropped due to throttling)",        \
                                         *vm_dropped_));                                                      \
    }                                                                                                         \
  } while (false)
/// Log and exit: for a broken environment (disk, flags), never for bugs or bad input.
#define VM_FATAL(...) ::vm::log::WriteFatal(__FILE__, __LINE__, ::vm::log::Format(__VA_ARGS__))
#define VM_LOG_FATAL(...) VM_FATAL(__VA_ARGS__)
