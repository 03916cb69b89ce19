#include "select/promql/transform_timezone.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "select/promql/transform_calendar.h"

namespace vm::select {
namespace {

using transform::kSecondsPerDay;

constexpr size_t kMaxFileBytes = size_t{1} << 20;
constexpr size_t kHeaderBytes = 44;
constexpr std::string_view kMagic = "TZif";
constexpr const char* kFolders[] = {"/usr/share/zoneinfo/", "/usr/share/lib/zoneinfo/", "/etc/zoneinfo/"};

Error Corrupted(std::string_view what) {
  return Error(ErrorCode::kCorrupted, "malformed time zone information: " + std::string(what));
}

/// Whole file; nullopt when it cannot be read or is larger than any zone.
std::optional<ByteBuffer> ReadSmallFile(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > kMaxFileBytes) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  ByteBuffer bytes(size);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) return std::nullopt;
  return bytes;
}

/// What a TZif header counts.
struct Counts {
  uint64_t utc_flags;
  uint64_t standard_flags;
  uint64_t leaps;
  uint64_t times;
  uint64_t types;
  uint64_t chars;

  /// Bytes of the block behind the header when times have `time_bytes`.
  uint64_t BlockBytes(uint64_t time_bytes) const {
    return times * (time_bytes + 1) + types * 6 + chars + leaps * (time_bytes + 4) + standard_flags + utc_flags;
  }
};

Counts TakeHeader(ByteView& src) {
  constexpr size_t kCountsOffset = 20;
  src = src.subspan(kCountsOffset);
  Counts counts;
  for (uint64_t* count : {&counts.utc_flags, &counts.standard_flags, &counts.leaps, &counts.times, &counts.types,
                          &counts.chars}) {
    *count = TakeBigEndian<uint32_t>(src);
  }
  return counts;
}

bool HasHeader(ByteView src) { return src.size() >= kHeaderBytes && AsText(src.first(kMagic.size())) == kMagic; }

}  // namespace

/// Reads `CET-1CEST,M3.5.0,M10.5.0/3`. Each Take returns false when the text is something else.
class TimeZone::FooterReader {
 public:
  explicit FooterReader(std::string_view text) : text_(text) {}

  std::optional<Footer> Read() {
    Footer footer;
    if (!TakeName() || !TakeTime(kMaxOffsetHours, footer.standard_offset)) return std::nullopt;
    footer.standard_offset = -footer.standard_offset;
    if (text_.empty()) return footer;
    footer.has_dst = true;
    footer.dst_offset = footer.standard_offset + 3600;
    if (!TakeName()) return std::nullopt;
    if (!text_.empty() && text_[0] != ',') {
      if (!TakeTime(kMaxOffsetHours, footer.dst_offset)) return std::nullopt;
      footer.dst_offset = -footer.dst_offset;
    }
    // Without rules those of the United States hold.
    if (text_.empty()) text_ = ",M3.2.0,M11.1.0";
    if (!TakeRule(footer.dst_begin) || !TakeRule(footer.dst_end) || !text_.empty()) return std::nullopt;
    return footer;
  }

 private:
  static constexpr int64_t kMaxOffsetHours = 24;
  static constexpr int64_t kMaxRuleHours = 7 * 24;

  bool TakeChar(char c) {
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  bool TakeName() {
    if (TakeChar('<')) {
      const size_t end = text_.find('>');
      if (end == std::string_view::npos) return false;
      text_.remove_prefix(end + 1);
      return true;
    }
    const size_t end = std::min(text_.find_first_of("0123456789,-+"), text_.size());
    if (end < 3) return false;
    text_.remove_prefix(end);
    return true;
  }

  bool TakeInt(int64_t min, int64_t max, int64_t& value) {
    const auto [end, ec] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (ec != std::errc() || value < min || value > max) return false;
    text_.remove_prefix(static_cast<size_t>(end - text_.data()));
    return true;
  }

  /// `[+-]hh[:mm[:ss]]` in seconds.
  bool TakeTime(int64_t max_hours, int64_t& seconds) {
    const bool is_negative = TakeChar('-');
    if (!is_negative) TakeChar('+');
    int64_t hours = 0, minutes = 0, rest = 0;
    if (!TakeInt(0, max_hours, hours)) return false;
    if (TakeChar(':')) {
      if (!TakeInt(0, 59, minutes)) return false;
      if (TakeChar(':') && !TakeInt(0, 59, rest)) return false;
    }
    seconds = hours * 3600 + minutes * 60 + rest;
    if (is_negative) seconds = -seconds;
    return true;
  }

  bool TakeRule(Rule& rule) {
    if (!TakeChar(',')) return false;
    int64_t day = 0, week = 0, month = 0;
    if (TakeChar('J')) {
      rule.kind = Rule::Kind::kJulian;
      if (!TakeInt(1, 365, day)) return false;
    } else if (TakeChar('M')) {
      rule.kind = Rule::Kind::kMonthWeekDay;
      if (!TakeInt(1, 12, month) || !TakeChar('.') || !TakeInt(1, 5, week) || !TakeChar('.') || !TakeInt(0, 6, day)) {
        return false;
      }
    } else {
      rule.kind = Rule::Kind::kDayOfYear;
      if (!TakeInt(0, 365, day)) return false;
    }
    rule.day = static_cast<int>(day);
    rule.week = static_cast<int>(week);
    rule.month = static_cast<int>(month);
    rule.seconds = 2 * 3600;
    return !TakeChar('/') || TakeTime(kMaxRuleHours, rule.seconds);
  }

  std::string_view text_;
};

int64_t TimeZone::Rule::SecondsInYear(int64_t year) const {
  int64_t days = day;
  if (kind == Kind::kJulian) {
    // February 29 is never counted.
    days = day - 1 + (transform::IsLeapYear(year) && day >= 60 ? 1 : 0);
  } else if (kind == Kind::kMonthWeekDay) {
    days = 0;
    for (int m = 1; m < month; ++m) days += transform::DaysInMonth(year, m);
    const int first_weekday = transform::DayOfWeek(transform::DaysBeforeYear(year) + days);
    int in_month = (day - first_weekday + 7) % 7 + 7 * (week - 1);
    // The fifth one is the last one.
    while (in_month >= transform::DaysInMonth(year, month)) in_month -= 7;
    days += in_month;
  }
  return days * kSecondsPerDay + seconds;
}

int64_t TimeZone::Footer::OffsetAt(int64_t unix_seconds) const {
  if (!has_dst) return standard_offset;
  const int64_t year = transform::DateOf(transform::DaysOf(unix_seconds)).year;
  const int64_t in_year = unix_seconds - transform::DaysBeforeYear(year) * kSecondsPerDay;
  const int64_t begin = dst_begin.SecondsInYear(year) - standard_offset;
  const int64_t end = dst_end.SecondsInYear(year) - dst_offset;
  // South of the equator daylight saving time spans the turn of the year.
  const bool is_dst = begin <= end ? begin <= in_year && in_year < end : in_year < end || begin <= in_year;
  return is_dst ? dst_offset : standard_offset;
}

Result<TimeZone> TimeZone::Load(std::string_view name) {
  if (name.empty() || name == "UTC") return Utc();
  std::vector<std::string> paths;
  std::string wanted(name);
  if (name == "Local") {
    const char* tz = std::getenv("TZ");
    wanted = tz == nullptr ? "/etc/localtime" : tz;
    if (!wanted.empty() && wanted[0] == ':') wanted.erase(0, 1);
    if (wanted.empty() || wanted == "UTC") return Utc();
    if (wanted[0] == '/') paths.push_back(wanted);
  } else if (name.find("..") != std::string_view::npos || name[0] == '/' || name[0] == '\\' ||
             name.find('\0') != std::string_view::npos) {
    return Error(ErrorCode::kInvalidInput, "time: invalid location name");
  }
  if (paths.empty()) {
    for (const char* folder : kFolders) paths.push_back(folder + wanted);
  }
  for (const std::string& path : paths) {
    const auto file = ReadSmallFile(path);
    if (!file.has_value() || !HasHeader(*file)) continue;
    return Parse(*file);
  }
  if (name == "Local") return Utc();
  return Error(ErrorCode::kInvalidInput, "unknown time zone " + std::string(name));
}

Result<TimeZone> TimeZone::Parse(ByteView file) {
  if (!HasHeader(file)) return Corrupted("no header");
  const bool has_long_times = file[kMagic.size()] >= '2';
  size_t time_bytes = sizeof(int32_t);
  Counts counts = TakeHeader(file);
  if (has_long_times) {
    // The same again with 64-bit times.
    if (file.size() < counts.BlockBytes(time_bytes)) return Corrupted("short block of 32-bit times");
    file = file.subspan(counts.BlockBytes(time_bytes));
    if (!HasHeader(file)) return Corrupted("no second header");
    counts = TakeHeader(file);
    time_bytes = sizeof(int64_t);
  }
  if (file.size() < counts.BlockBytes(time_bytes)) return Corrupted("short block");
  if (counts.types == 0) return Corrupted("no types");
  const ByteView footer = file.subspan(counts.BlockBytes(time_bytes));

  TimeZone zone;
  for (uint64_t i = 0; i < counts.times; ++i) {
    const int64_t at = time_bytes == sizeof(int64_t) ? static_cast<int64_t>(TakeBigEndian<uint64_t>(file))
                                                     : static_cast<int32_t>(TakeBigEndian<uint32_t>(file));
    if (i > 0 && at < zone.transitions_.back().at) return Corrupted("times are not sorted");
    zone.transitions_.push_back({at, 0});
  }
  for (Transition& transition : zone.transitions_) {
    transition.type = TakeBigEndian<uint8_t>(file);
    if (transition.type >= counts.types) return Corrupted("a type that is not there");
  }
  for (uint64_t i = 0; i < counts.types; ++i) {
    Type type;
    type.offset = static_cast<int32_t>(TakeBigEndian<uint32_t>(file));
    type.is_dst = TakeBigEndian<uint8_t>(file) != 0;
    TakeBigEndian<uint8_t>(file);  // Abbreviation.
    zone.types_.push_back(type);
  }
  const std::string_view text = AsText(footer);
  if (has_long_times && text.size() > 2 && text.front() == '\n' && text.back() == '\n') {
    zone.footer_ = FooterReader(text.substr(1, text.size() - 2)).Read();
  }
  return zone;
}

size_t TimeZone::FirstType() const {
  const auto is_used = [&](size_t type) {
    return std::any_of(transitions_.begin(), transitions_.end(), [&](const Transition& t) { return t.type == type; });
  };
  if (!is_used(0)) return 0;
  // A file that begins with daylight saving time: the standard time listed before it.
  if (types_[transitions_[0].type].is_dst) {
    for (size_t type = transitions_[0].type; type-- > 0;) {
      if (!types_[type].is_dst) return type;
    }
  }
  const auto standard = std::find_if(types_.begin(), types_.end(), [](const Type& type) { return !type.is_dst; });
  return standard == types_.end() ? 0 : static_cast<size_t>(standard - types_.begin());
}

int64_t TimeZone::OffsetAt(int64_t unix_seconds) const {
  if (types_.empty()) return 0;
  const auto next = std::upper_bound(transitions_.begin(), transitions_.end(), unix_seconds,
                                     [](int64_t seconds, const Transition& t) { return seconds < t.at; });
  if (next == transitions_.end() && footer_.has_value()) return footer_->OffsetAt(unix_seconds);
  const size_t type = next == transitions_.begin() ? FirstType() : std::prev(next)->type;
  return types_[type].offset;
}

}  // namespace vm::select
