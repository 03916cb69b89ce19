#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::select {

/// Offsets of a time zone from UTC, from the system's IANA database (package tzdata). Immutable, thread-safe.
class TimeZone {
 public:
  /// `Europe/Berlin`; empty or `UTC` is UTC, `Local` the zone of the machine. Errors: kInvalidInput.
  static Result<TimeZone> Load(std::string_view name);
  /// Decode a TZif file (RFC 8536). Errors: kCorrupted.
  static Result<TimeZone> Parse(ByteView file);

  /// Seconds east of UTC at a Unix time.
  int64_t OffsetAt(int64_t unix_seconds) const;

  static TimeZone Utc() { return TimeZone(); }

 private:
  struct Type {
    int32_t offset = 0;
    bool is_dst = false;
  };
  struct Transition {
    int64_t at;
    size_t type;
  };
  /// When daylight saving time begins or ends: a day of the year and seconds after its midnight.
  struct Rule {
    enum class Kind : uint8_t { kJulian, kDayOfYear, kMonthWeekDay } kind = Kind::kJulian;
    int day = 0;  // Of the year, or of the week from Sunday.
    int week = 0;
    int month = 0;
    int64_t seconds = 0;

    int64_t SecondsInYear(int64_t year) const;
  };
  /// POSIX TZ text at the end of a file: what holds after the last transition.
  struct Footer {
    int64_t standard_offset = 0;
    int64_t dst_offset = 0;
    bool has_dst = false;
    Rule dst_begin;
    Rule dst_end;

    int64_t OffsetAt(int64_t unix_seconds) const;
  };
  class FooterReader;

  TimeZone() = default;
  size_t FirstType() const;

  std::vector<Type> types_;
  std::vector<Transition> transitions_;
  std::optional<Footer> footer_;
};

}  // namespace vm::select
