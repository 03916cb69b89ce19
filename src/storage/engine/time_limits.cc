#include "storage/engine/time_limits.h"

#include <chrono>

namespace vm::storage {

model::TimeRange MonthOf(int64_t timestamp) {
  using namespace std::chrono;
  const sys_days day = floor<days>(sys_time<milliseconds>(milliseconds(timestamp)));
  const year_month_day ymd(day);
  const year_month month(ymd.year(), ymd.month());
  const sys_days first = month / 1;
  const sys_days next = (month + months(1)) / 1;
  return {duration_cast<milliseconds>(first.time_since_epoch()).count(),
          duration_cast<milliseconds>(next.time_since_epoch()).count() - 1};
}

}  // namespace vm::storage
