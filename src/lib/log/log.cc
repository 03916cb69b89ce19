#include "lib/log/log.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>

#include "lib/base/mutex.h"

namespace vm::log {
namespace {

struct Logger {
  Mutex mutex;
  Options options VM_GUARDED_BY(mutex);
};

Logger& TheLogger() {
  static auto* logger = new Logger();  // Never destroyed: threads may log until the very end.
  return *logger;
}

std::string_view ShortPath(std::string_view path) {
  const size_t at = path.rfind("/src/");
  return at == std::string_view::npos ? path : path.substr(at + 5);
}

std::string_view LowerName(Level level) {
  switch (level) {
    case Level::kInfo: return "info";
    case Level::kWarn: return "warn";
    case Level::kError: return "error";
    case Level::kFatal: return "fatal";
    case Level::kPanic: return "panic";
  }
  return "unknown";
}

std::string Timestamp(int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", tm.tm_year + 1900,
                     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, unix_ms % 1000);
}

void AppendQuoted(std::string& dst, std::string_view text) {
  dst += '"';
  for (const char c : text) {
    switch (c) {
      case '"': dst += "\\\""; break;
      case '\\': dst += "\\\\"; break;
      case '\n': dst += "\\n"; break;
      case '\r': dst += "\\r"; break;
      case '\t': dst += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          dst += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          dst += c;
        }
    }
  }
  dst += '"';
}

}  // namespace

Result<Level> ParseLevel(std::string_view text) {
  for (const Level level :
       {Level::kInfo, Level::kWarn, Level::kError, Level::kFatal, Level::kPanic}) {
    if (text == LevelName(level)) return level;
  }
  return Error(ErrorCode::kInvalidInput,
               fmt::format("unsupported -loggerLevel value: \"{}\"; supported values are: INFO, WARN, "
                           "ERROR, FATAL, PANIC",
                           std::string(text)));
}

std::string_view LevelName(Level level) {
  switch (level) {
    case Level::kInfo: return "INFO";
    case Level::kWarn: return "WARN";
    case Level::kError: return "ERROR";
    case Level::kFatal: return "FATAL";
    case Level::kPanic: return "PANIC";
  }
  return "UNKNOWN";
}

void Init(Options options) {
  Logger& logger = TheLogger();
  MutexLock lock(logger.mutex);
  logger.options = std::move(options);
}

std::string FormatLine(const Options& options, Level level, std::string_view location,
                       std::string_view message, int64_t unix_ms) {
  while (!message.empty() && message.back() == '\n') message.remove_suffix(1);
  std::string line;
  if (options.json) {
    line = "{";
    if (!options.disable_timestamps) {
      line += fmt::format("\"ts\":\"{}\",", Timestamp(unix_ms));
    }
    line += fmt::format("\"level\":\"{}\",\"caller\":", LowerName(level));
    AppendQuoted(line, location);
    line += ",\"msg\":";
    AppendQuoted(line, message);
    line += "}";
    return line;
  }
  if (!options.disable_timestamps) line = Timestamp(unix_ms) + "\t";
  line += LowerName(level);
  line += '\t';
  line += location;
  line += '\t';
  line += message;
  return line;
}

void Write(Level level, const char* file, int line, std::string_view message) {
  const std::string location = fmt::format("{}:{}", ShortPath(file), line);
  const int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
  std::function<void(Level, std::string_view)> on_message;
  {
    Logger& logger = TheLogger();
    MutexLock lock(logger.mutex);
    if (level < logger.options.min_level) return;
    std::string text = FormatLine(logger.options, level, location, message, now_ms);
    text += '\n';
    const int fd = logger.options.to_stdout ? STDOUT_FILENO : STDERR_FILENO;
    // The lock is held over the write: it is what keeps lines whole and in order.
    for (std::string_view rest = text; !rest.empty();) {
      const ssize_t n = ::write(fd, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      rest.remove_prefix(static_cast<size_t>(n));
    }
    on_message = logger.options.on_message;
  }
  if (on_message) on_message(level, location);
}

void WriteFatal(const char* file, int line, std::string_view message) {
  Write(Level::kFatal, file, line, message);
  std::_Exit(255);
}

}  // namespace vm::log
