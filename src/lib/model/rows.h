#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/tenant.h"

namespace vm::model {

/// One sample as vminsert sends it. `metric_name_raw` is a view into the packet.
struct MetricRow {
  ByteView metric_name_raw;
  int64_t timestamp = 0;  // Unix milliseconds.
  double value = 0;
};

/// Bytes that AppendMetricRow adds.
size_t MetricRowSize(const MetricRow& row) noexcept;
void AppendMetricRow(ByteBuffer& dst, const MetricRow& row);
/// Errors: kCorrupted; `src` stays then.
Result<MetricRow> TakeMetricRow(ByteView& src);
/// Put the next rows of `src`, at most `max_rows`, into `rows`, which keeps its memory. Errors: kCorrupted; `rows` has
/// those before the broken one then, and `src` starts with that.
Status TakeMetricRows(ByteView& src, size_t max_rows, std::vector<MetricRow>& rows);

/// Type, help and unit of a metric family. `type` is 0 unknown, 1 counter, 2 gauge, 3 histogram,
/// 4 gauge histogram, 5 summary, 6 info, 7 stateset.
struct MetadataRow {
  Tenant tenant;
  uint32_t type = 0;
  std::string name;
  std::string help;
  std::string unit;

  bool operator==(const MetadataRow&) const = default;
};

/// Requires texts of at most 65535 bytes.
void AppendMetadataRow(ByteBuffer& dst, const MetadataRow& row);
Result<MetadataRow> TakeMetadataRow(ByteView& src);

}  // namespace vm::model
