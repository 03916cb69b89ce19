#include "lib/log/log.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <map>
#include <utility>

#include "lib/base/mutex.h"

namespace vm::log {
namespace {

/// Messages of one call site in the current second.
struct SiteCount {
  int64_t second = 0;
  uint64_t messages = 0;
};

struct Logger {
  Mutex mutex;
  Options options VM_GUARDED_BY(mutex);
  std::map<std::string, SiteCount, std::less<>> counts VM_GUARDED_BY(mutex);  // Only of limited levels.
  std::atomic<size_t> max_arg_length{5000};
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

std::string Timestamp(int64_t unix_ms, const TimeZone* zone) {
  const int32_t offset = zone == nullptr ? 0 : zone->OffsetSeconds(unix_ms / 1000);
  const std::time_t seconds = unix_ms / 1000 + offset;
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}", tm.tm_year + 1900, tm.tm_mon + 1,
                                 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, unix_ms % 1000);
  if (offset == 0) return text + 'Z';
  const int32_t minutes = std::abs(offset) / 60;
  return text + fmt::format("{}{:02}{:02}", offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
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

Result<JsonFields> ParseJsonFields(std::string_view text) {
  JsonFields fields;
  const std::string whole(text);
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    const size_t colon = item.find(':');
    if (colon == std::string_view::npos || item.find(':', colon + 1) != std::string_view::npos) {
      return Error(ErrorCode::kInvalidInput,
                   fmt::format("missing ':' delimiter in -loggerJSONFields=\"{}\" for \"{}\" item", whole, item));
    }
    const std::string_view name = item.substr(0, colon);
    std::string* field = name == "ts"       ? &fields.ts
                         : name == "level"  ? &fields.level
                         : name == "caller" ? &fields.caller
                         : name == "msg"    ? &fields.msg
                                            : nullptr;
    if (field == nullptr) {
      return Error(ErrorCode::kInvalidInput,
                   fmt::format("unexpected json field name in -loggerJSONFields=\"{}\": \"{}\"; supported values: ts, "
                               "level, caller, msg",
                               whole, name));
    }
    *field = item.substr(colon + 1);
  }
  return fields;
}

void DropObserver() {
  Logger& logger = TheLogger();
  MutexLock lock(logger.mutex);
  logger.options.on_message = nullptr;
}

std::string Shorten(std::string_view text, size_t max_length) {
  max_length = std::max<size_t>(max_length, 4);
  if (text.size() <= max_length) return std::string(text);
  const size_t half = max_length / 2 - 1;
  return std::string(text.substr(0, half)).append("..").append(text.substr(text.size() - half));
}

size_t MaxArgLength() { return TheLogger().max_arg_length.load(std::memory_order_relaxed); }

std::optional<uint64_t> Throttle::Pass() {
  const int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                             std::chrono::steady_clock::now().time_since_epoch())
                             .count();
  int64_t next_ms = next_ms_.load(std::memory_order_relaxed);
  if (now_ms < next_ms || !next_ms_.compare_exchange_strong(next_ms, now_ms + interval_.count())) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return dropped_.exchange(0, std::memory_order_relaxed);
}

void Init(Options options) {
  Logger& logger = TheLogger();
  MutexLock lock(logger.mutex);
  logger.max_arg_length = options.max_arg_length;
  logger.options = std::move(options);
}

std::string FormatLine(const Options& options, Level level, std::string_view location,
                       std::string_view message, int64_t unix_ms) {
  while (!message.empty() && message.back() == '\n') message.remove_suffix(1);
  std::string line;
  if (options.json) {
    line = "{";
    const auto add = [&](std::string_view key, std::string_view value) {
      if (line.size() > 1) line += ',';
      AppendQuoted(line, key);
      line += ':';
      AppendQuoted(line, value);
    };
    const JsonFields& fields = options.json_fields;
    if (!options.disable_timestamps) add(fields.ts, Timestamp(unix_ms, options.time_zone.get()));
    add(fields.level, LowerName(level));
    add(fields.caller, location);
    add(fields.msg, message);
    line += "}";
    return line;
  }
  if (!options.disable_timestamps) line = Timestamp(unix_ms, options.time_zone.get()) + "\t";
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
  std::function<void(Level, std::string_view, bool)> on_message;
  bool is_printed = false;
  {
    Logger& logger = TheLogger();
    MutexLock lock(logger.mutex);
    const Options& options = logger.options;
    on_message = options.on_message;
    std::string prefix;
    const uint64_t limit = level == Level::kError  ? options.errors_per_second_limit
                           : level == Level::kWarn ? options.warns_per_second_limit
                                                   : 0;
    is_printed = level >= options.min_level;
    if (is_printed && limit > 0) {
      auto found = logger.counts.find(location);
      if (found == logger.counts.end()) found = logger.counts.emplace(location, SiteCount()).first;
      SiteCount& count = found->second;
      if (count.second != now_ms / 1000) count = SiteCount{now_ms / 1000, 0};
      ++count.messages;
      // One message more than the limit is printed: it says that the rest is not.
      is_printed = count.messages <= limit + 1;
      if (count.messages == limit + 1) prefix = fmt::format("suppressing log message with rate limit={}: ", limit);
    }
    if (is_printed) {
      std::string text = prefix.empty() ? FormatLine(options, level, location, message, now_ms)
                                        : FormatLine(options, level, location, prefix.append(message), now_ms);
      text += '\n';
      const int fd = options.to_stdout ? STDOUT_FILENO : STDERR_FILENO;
      // The lock is held over the write: it is what keeps lines whole and in order.
      for (std::string_view rest = text; !rest.empty();) {
        const ssize_t n = ::write(fd, rest.data(), rest.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        rest.remove_prefix(static_cast<size_t>(n));
      }
    }
  }
  if (on_message) on_message(level, location, is_printed);
}

void WriteFatal(const char* file, int line, std::string_view message) {
  Write(Level::kFatal, file, line, message);
  std::_Exit(255);
}

}  // namespace vm::log
