#include "select/http/time_arg.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <ctime>
#include <limits>
#include <string>

#include "lib/metricsql/ast.h"

namespace vm::select {
namespace {

constexpr int64_t kMaxInt64 = std::numeric_limits<int64_t>::max();
constexpr int64_t kMinInt64 = std::numeric_limits<int64_t>::min();
constexpr int64_t kNsPerSecond = 1'000'000'000;

// Arithmetic on doubles loses digits and on int64 overflows; a wider type does neither.
__extension__ using Wide = __int128;

int64_t Clamp(Wide ns) {
  if (ns > kMaxInt64) return kMaxInt64;
  return ns < kMinInt64 ? kMinInt64 : static_cast<int64_t>(ns);
}

std::optional<int64_t> Narrow(Wide value) {
  if (value > kMaxInt64 || value < kMinInt64) return std::nullopt;
  return static_cast<int64_t>(value);
}

Error Invalid(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

bool IsDigits(std::string_view text) {
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

std::optional<int64_t> ParseInt(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  int64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// What one unit of a number is in nanoseconds, and how many digits of its fraction count.
struct Unit {
  int64_t ns;
  size_t digits;
};

Unit UnitOf(int64_t n) {
  for (const Unit unit : {Unit{kNsPerSecond, 9}, Unit{1'000'000, 6}, Unit{1'000, 3}}) {
    if (n <= kMaxInt64 / unit.ns && n >= kMinInt64 / unit.ns) return unit;
  }
  return {1, 0};
}

std::optional<int64_t> PowerOfTen(size_t exponent) {
  if (exponent > 18) return std::nullopt;
  int64_t value = 1;
  while (exponent-- > 0) value *= 10;
  return value;
}

std::optional<int64_t> ParseFractional(std::string_view integer, std::string_view fraction) {
  const auto n = ParseInt(integer);
  if (!n || !IsDigits(fraction)) return std::nullopt;
  const Unit unit = UnitOf(*n);
  fraction = fraction.substr(0, unit.digits);
  const bool is_negative = integer.starts_with('-');
  Wide ns = Wide{*n} * unit.ns;
  if (!fraction.empty()) {
    const Wide rest = Wide{*ParseInt(fraction)} * (unit.ns / *PowerOfTen(fraction.size()));
    ns += is_negative ? -rest : rest;
  }
  return Narrow(ns);
}

std::optional<int64_t> ParseScientific(std::string_view mantissa, int64_t exponent) {
  if (exponent < 0 || exponent > 18) return std::nullopt;
  const size_t dot = mantissa.find('.');
  const std::string_view fraction = dot == mantissa.npos ? std::string_view() : mantissa.substr(dot + 1);
  std::string digits(mantissa.substr(0, dot));
  const auto shift = static_cast<size_t>(exponent);
  if (shift < fraction.size()) {
    // 1.784144612388E9 is 1784144612.388.
    digits += fraction.substr(0, shift);
    return ParseFractional(digits, fraction.substr(shift));
  }
  if (!IsDigits(fraction)) return std::nullopt;
  digits += fraction;
  const auto n = ParseInt(digits);
  const auto power = PowerOfTen(shift - fraction.size());
  if (!n || !power) return std::nullopt;
  const auto value = Narrow(Wide{*n} * *power);
  if (!value) return std::nullopt;
  return Narrow(Wide{*value} * UnitOf(*value).ns);
}

int64_t LocalZoneOffsetSeconds(int64_t now_ns) {
  const std::time_t now = now_ns / kNsPerSecond;
  std::tm local{};
  localtime_r(&now, &local);
  return local.tm_gmtoff;
}

/// `-hh:mm` or `+hh:mm` at the end of `text`, in seconds; cut off `text`. Nothing without one.
Result<std::optional<int64_t>> TakeZone(std::string_view& text) {
  if (text.size() <= 6) return std::optional<int64_t>();
  const std::string_view zone = text.substr(text.size() - 6);
  if ((zone[0] != '-' && zone[0] != '+') || zone[3] != ':') return std::optional<int64_t>();
  if (!IsDigits(zone.substr(1, 2)) || !IsDigits(zone.substr(4))) {
    return Invalid("cannot parse timezone offset \"" + std::string(zone) + "\"");
  }
  text.remove_suffix(6);
  const int64_t seconds = *ParseInt(zone.substr(1, 2)) * 3600 + *ParseInt(zone.substr(4)) * 60;
  return std::optional<int64_t>(zone[0] == '+' ? seconds : -seconds);
}

/// Takes numbers and separators off the front of a date.
class DateReader {
 public:
  explicit DateReader(std::string_view text) : rest_(text) {}

  bool Take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool TakeNumber(size_t digits, int min, int max, int& value) {
    if (rest_.size() < digits || !IsDigits(rest_.substr(0, digits))) return false;
    value = static_cast<int>(*ParseInt(rest_.substr(0, digits)));
    rest_.remove_prefix(digits);
    return value >= min && value <= max;
  }
  /// Digits after a point, as nanoseconds.
  bool TakeFraction(int64_t& ns) {
    size_t n = 0;
    while (n < rest_.size() && rest_[n] >= '0' && rest_[n] <= '9') ++n;
    if (n == 0) return false;
    const std::string_view digits = rest_.substr(0, std::min<size_t>(n, 9));
    ns = *ParseInt(digits) * *PowerOfTen(9 - digits.size());
    rest_.remove_prefix(n);
    return true;
  }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

/// `YYYY[-MM[-DD[THH[:MM[:SS[.fff]]]]]]` in UTC.
std::optional<Wide> ParseDate(std::string_view text) {
  DateReader reader(text);
  int year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0;
  int64_t ns = 0;
  if (!reader.TakeNumber(4, 0, 9999, year)) return std::nullopt;
  if (reader.Take('-')) {
    if (!reader.TakeNumber(2, 1, 12, month)) return std::nullopt;
    if (reader.Take('-')) {
      if (!reader.TakeNumber(2, 1, 31, day)) return std::nullopt;
      if (reader.Take('T')) {
        if (!reader.TakeNumber(2, 0, 23, hour)) return std::nullopt;
        if (reader.Take(':')) {
          if (!reader.TakeNumber(2, 0, 59, minute)) return std::nullopt;
          if (reader.Take(':')) {
            if (!reader.TakeNumber(2, 0, 59, second)) return std::nullopt;
            if (reader.Take('.') && !reader.TakeFraction(ns)) return std::nullopt;
          }
        }
      }
    }
  }
  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!reader.empty() || !date.ok()) return std::nullopt;
  const Wide days = std::chrono::sys_days(date).time_since_epoch().count();
  return (days * 86400 + hour * 3600 + minute * 60 + second) * kNsPerSecond + ns;
}

Result<int64_t> ParseBeforeNow(std::string_view text, int64_t now_ns) {
  if (text.starts_with("now")) text.remove_prefix(3);
  VM_ASSIGN_OR_RETURN(const int64_t ms, metricsql::ParseDuration(text, 0));
  constexpr int64_t kMaxMs = kMaxInt64 / 1'000'000;
  if (ms > kMaxMs || ms < -kMaxMs) return Invalid("duration \"" + std::string(text) + "\" is out of range");
  return Clamp(Wide{now_ns} - Wide{std::abs(ms)} * 1'000'000);
}

bool IsDuration(std::string_view text) {
  return text.starts_with("now") || (!text.empty() && (text.back() > '9' || text.front() == '-'));
}

}  // namespace

std::optional<int64_t> ParseUnixTimestampNs(std::string_view text) {
  const size_t e = text.find_first_of("eE");
  if (e != text.npos) {
    const auto exponent = ParseInt(text.substr(e + 1));
    return exponent ? ParseScientific(text.substr(0, e), *exponent) : std::nullopt;
  }
  const size_t dot = text.find('.');
  if (dot != text.npos) return ParseFractional(text.substr(0, dot), text.substr(dot + 1));
  const auto n = ParseInt(text);
  return n ? Narrow(Wide{*n} * UnitOf(*n).ns) : std::nullopt;
}

Result<int64_t> ParseTimeNs(std::string_view text, int64_t now_ns) {
  if (text == "now") return now_ns;
  std::string_view rest = text;
  VM_ASSIGN_OR_RETURN(const std::optional<int64_t> zone, TakeZone(rest));
  const bool is_utc = !zone && rest.ends_with('Z');
  if (is_utc) rest.remove_suffix(1);
  if (IsDuration(rest)) return ParseBeforeNow(rest, now_ns);
  if (rest.size() != 4 && text.find('-') == text.npos) {
    const auto ns = ParseUnixTimestampNs(text);
    if (!ns) return Invalid("cannot parse numeric timestamp \"" + std::string(text) + "\"");
    return *ns;
  }
  const auto date = ParseDate(rest);
  if (!date) return Invalid("cannot parse \"" + std::string(text) + "\" as time");
  // Short texts count as UTC.
  const int64_t local = is_utc || text.size() <= 6 ? 0 : LocalZoneOffsetSeconds(now_ns);
  return Clamp(*date - Wide{zone.value_or(local)} * kNsPerSecond);
}

}  // namespace vm::select
