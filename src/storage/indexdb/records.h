#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/bytes/bytes.h"
#include "lib/model/metric_name.h"
#include "lib/model/tsid.h"
#include "storage/mergeset/block.h"
#include "storage/mergeset/memory_items.h"

namespace vm::indexdb {

/// First byte of each item.
enum class RecordKind : uint8_t {
  kNameToTsid = 0,  // Only without the per-day index.
  kTagToIds = 1,
  kIdToTsid = 2,
  kIdToName = 3,
  kDeletedId = 4,
  kDateToId = 5,
  kDateTagToIds = 6,
  kDateNameToTsid = 7,
};

/// Between a MetricName and its TSID.
inline constexpr uint8_t kNameSeparator = 2;
/// First byte of the keys that are no label names.
inline constexpr char kCompositeKey = '\xfe';
inline constexpr char kReverseNameKey = '\xff';

/// Whether a key of a tag row is no label name.
inline bool IsArtificialKey(std::string_view key) {
  return !key.empty() && (key[0] == kCompositeKey || key[0] == kReverseNameKey);
}
/// How a label is called in tag rows: the metric name has the empty key.
inline std::string_view LabelKey(std::string_view label) { return label == "__name__" ? std::string_view() : label; }

/// Kind, tenant. Nothing of the tenant for kDeletedId.
ByteBuffer RecordPrefix(RecordKind kind, const model::Tenant& tenant);
/// Kind, tenant, date.
ByteBuffer DatePrefix(RecordKind kind, const model::Tenant& tenant, uint64_t date);

/// Append what stands between prefix and id in the tag rows of a series: one for each label, composite label and
/// Graphite name. The prefix is that of kTagToIds or kDateTagToIds.
void AppendTagKeys(mergeset::ItemRun& tails, const model::MetricName& name);

/// The key by which the TSID of a name is looked up, from its record; empty for other records.
ByteView LookupKeyOf(ByteView item);

/// The ids at the end of a tag row.
struct TagRow {
  std::string key;
  std::string value;
  ByteView ids;  // A multiple of 8 bytes, not none.
};
/// Decode what follows the prefix of a tag row. Errors: kCorrupted.
Status UnmarshalTagRow(ByteView tail, TagRow& row);

/// Join the tag rows of a block that differ by their ids alone.
/// Reference: VictoriaMetrics lib/storage/index_db.go, mergeTagToMetricIDsRows.
void MergeTagRows(mergeset::ItemBlock& block);

}  // namespace vm::indexdb
