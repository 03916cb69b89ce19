#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace vm::log {

enum class Level : uint8_t { kInfo, kWarn, kError, kFatal, kPanic };

struct Options {
  Level min_level = Level::kInfo;
  bool json = false;
  bool to_stdout = false;
  bool disable_timestamps = false;
  /// Called for each line that is written, e.g. to count `vm_log_messages_total`. Must not log.
  std::function<void(Level, std::string_view location)> on_message;
};

/// "INFO", "WARN", ... as flags spell them.
Result<Level> ParseLevel(std::string_view text);
std::string_view LevelName(Level level);

/// Set up the logger. Call once, before threads start; without it lines go to stderr with defaults.
void Init(Options options);

/// Write one line. Thread-safe. `file` is shortened to the part after "src/".
void Write(Level level, const char* file, int line, std::string_view message);
/// Write one FATAL line and end the process with exit code -1 (255).
[[noreturn]] void WriteFatal(const char* file, int line, std::string_view message);

/// The line that Write writes, without line end. `unix_ms` is the time shown.
std::string FormatLine(const Options& options, Level level, std::string_view location,
                       std::string_view message, int64_t unix_ms);

}  // namespace vm::log

#define VM_LOG_INFO(...) \
  ::vm::log::Write(::vm::log::Level::kInfo, __FILE__, __LINE__, ::fmt::format(__VA_ARGS__))
#define VM_LOG_WARN(...) \
  ::vm::log::Write(::vm::log::Level::kWarn, __FILE__, __LINE__, ::fmt::format(__VA_ARGS__))
#define VM_LOG_ERROR(...) \
  ::vm::log::Write(::vm::log::Level::kError, __FILE__, __LINE__, ::fmt::format(__VA_ARGS__))
/// Log and exit: for a broken environment (disk, flags), never for bugs or bad input.
#define VM_FATAL(...) ::vm::log::WriteFatal(__FILE__, __LINE__, ::fmt::format(__VA_ARGS__))
#define VM_LOG_FATAL(...) VM_FATAL(__VA_ARGS__)
