#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace vm::log {

/// Offsets of a zone of the IANA database, read from the system's compiled files. Immutable.
class TimeZone {
 public:
  /// `name` is "UTC", "Local" or like "Europe/Berlin". Errors: kInvalidInput for unknown names, kCorrupted.
  static Result<std::shared_ptr<const TimeZone>> Load(std::string_view name);
  /// Decode a compiled file (TZif). Errors: kCorrupted.
  static Result<std::shared_ptr<const TimeZone>> Parse(std::string_view file);

  /// Seconds to add to UTC at that time.
  int32_t OffsetSeconds(int64_t unix_seconds) const;

 private:
  struct Transition {
    int64_t at = 0;  // Unix seconds.
    int32_t offset = 0;
  };
  int32_t first_offset_ = 0;
  std::vector<Transition> transitions_;  // Sorted by time.
};

}  // namespace vm::log
