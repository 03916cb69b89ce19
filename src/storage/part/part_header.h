#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace vm::storage {

/// The files of a data part, each in the part's folder.
inline constexpr const char* kTimestampsFile = "timestamps.bin";
inline constexpr const char* kValuesFile = "values.bin";
inline constexpr const char* kIndexFile = "index.bin";
inline constexpr const char* kMetaindexFile = "metaindex.bin";
inline constexpr const char* kMetadataFile = "metadata.json";

/// Totals of a part: its metadata.json.
struct PartHeader {
  uint64_t rows_count = 0;
  uint64_t blocks_count = 0;
  int64_t min_timestamp = INT64_MAX;  // Unix milliseconds, over all blocks.
  int64_t max_timestamp = INT64_MIN;
  int64_t min_dedup_interval = 0;  // Milliseconds of -dedup.minScrapeInterval when it was written.

  bool operator==(const PartHeader&) const = default;
};

/// `{"RowsCount":…}` without blanks, as the original writes it.
std::string FormatPartHeader(const PartHeader& header);

/// Any JSON formatting is read. Errors: kCorrupted when the totals contradict each other.
/// Reference: VictoriaMetrics lib/storage/part_header.go.
Result<PartHeader> ParsePartHeader(std::string_view json);

}  // namespace vm::storage
