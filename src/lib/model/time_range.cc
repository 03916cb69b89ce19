#include "lib/model/time_range.h"

#include <fmt/format.h>

#include <chrono>

namespace vm::model {
namespace {

constexpr const char* kEverything = "[entire retention period]";

std::string DayToString(std::chrono::sys_days day) {
  const std::chrono::year_month_day ymd(day);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(ymd.year()), static_cast<unsigned>(ymd.month()),
                     static_cast<unsigned>(ymd.day()));
}

}  // namespace

std::string DateToString(uint64_t date) {
  if (date == 0) return kEverything;
  return DayToString(std::chrono::sys_days(std::chrono::days(static_cast<int64_t>(date))));
}

std::string TimestampToString(int64_t timestamp) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(timestamp)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::hh_mm_ss<std::chrono::milliseconds> clock(time - day);
  std::string text = fmt::format("{}T{:02}:{:02}:{:02}", DayToString(day), clock.hours().count(),
                                 clock.minutes().count(), clock.seconds().count());
  if (const auto ms = clock.subseconds().count(); ms != 0) {
    text += fmt::format(".{:03}", ms);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text + "Z";
}

std::string TimeRangeToString(const TimeRange& range) {
  if (range == TimeRange{}) return kEverything;
  return fmt::format("[{}..{}]", TimestampToString(range.min_timestamp), TimestampToString(range.max_timestamp));
}

}  // namespace vm::model
