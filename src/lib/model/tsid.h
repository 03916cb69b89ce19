#pragma once

#include <compare>
#include <cstdint>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::model {

/// Names one series inside one vmstorage. A type of its own: not a number.
enum class MetricId : uint64_t {};

/// The key that part files are sorted by: field by field, in this order.
struct Tsid {
  uint32_t account_id = 0;
  uint32_t project_id = 0;
  uint64_t metric_group_id = 0;
  uint32_t job_id = 0;
  uint32_t instance_id = 0;
  MetricId metric_id{};

  auto operator<=>(const Tsid&) const = default;
};

inline constexpr size_t kTsidSize = 32;

void MarshalTsid(ByteBuffer& dst, const Tsid& tsid);
/// Errors: kCorrupted when `src` is shorter than kTsidSize; `src` stays then.
Result<Tsid> UnmarshalTsid(ByteView& src);

}  // namespace vm::model
