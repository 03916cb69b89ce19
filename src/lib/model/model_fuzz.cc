// What a decoder accepts must encode again, and a decoded block must hold what its header says.
#include <cstdlib>

#include "lib/model/block.h"
#include "lib/model/block_merge.h"
#include "lib/model/dedup.h"
#include "lib/model/metric_name.h"
#include "lib/model/rows.h"
#include "lib/model/search_query.h"

namespace {

using namespace vm;  // NOLINT: one small program, nothing includes it
using namespace vm::model;  // NOLINT: one small program, nothing includes it

void Require(bool condition) {
  if (!condition) std::abort();
}

void TryBlock(const EncodedBlock& block) {
  DecodedBlock decoded;
  if (!DecodeBlock(block, decoded).ok()) return;
  Require(decoded.timestamps.size() == block.header.rows_count);
  Require(decoded.mantissas.size() == block.header.rows_count);
  std::vector<int64_t> timestamps;
  std::vector<double> values;
  DecodedBlock used = decoded;
  AppendSamplesInRange(used, {INT64_MIN, INT64_MAX}, timestamps, values);
  Require(timestamps.size() == values.size());
  DecodedBlock other = decoded, out;
  other.scale = static_cast<int16_t>(other.scale / 2 - 1);
  Require(MergeBlocks(decoded, other, INT64_MIN, out) == 0);
  Require(out.timestamps.size() == 2 * size_t{block.header.rows_count});
  DeduplicateSamples(timestamps, values, 1000);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t kind = data[0] % 8;
  ByteView src(data + 1, size - 1);
  ByteBuffer again;
  if (kind == 0) {
    if (auto got = UnmarshalMetricBlock(src); got.ok()) TryBlock(got.value().block);
  } else if (kind == 1) {
    if (auto got = UnmarshalPortableBlock(src); got.ok()) TryBlock(got.value());
  } else if (kind == 2) {
    if (auto got = UnmarshalBlockHeader(src); got.ok()) {
      MarshalBlockHeader(again, got.value());
      Require(Equal(again, ByteView(data + 1, kBlockHeaderSize)));
    }
  } else if (kind == 3) {
    if (auto got = MetricName::Unmarshal(src); got.ok()) {
      // Not the same bytes: a plain 02 is read, but written escaped.
      got.value().Marshal(again);
      auto back = MetricName::Unmarshal(again);
      Require(back.ok() && back.value() == got.value());
      got.value().SortTags();
      (void)got.value().ToString();
    }
  } else if (kind == 4) {
    if (auto got = MetricName::UnmarshalRaw(src); got.ok()) {
      got.value().SortTags();
      got.value().Marshal(again);
      auto back = MetricName::Unmarshal(again);
      Require(back.ok() && back.value() == got.value());
    }
  } else if (kind == 5) {
    std::vector<MetricRow> rows;
    ByteView rest = src;
    const bool all_taken = TakeMetricRows(rest, src.size(), rows).ok();
    size_t taken = 0;
    while (!src.empty()) {
      const size_t before = src.size();
      auto row = TakeMetricRow(src);
      if (!row.ok()) {
        Require(src.size() == before);
        break;
      }
      AppendMetricRow(again, row.value());
      Require(taken < rows.size() && rows[taken].metric_name_raw.data() == row.value().metric_name_raw.data() &&
              rows[taken].timestamp == row.value().timestamp);
      ++taken;
    }
    Require(taken == rows.size() && all_taken == src.empty() && rest.size() == src.size());
  } else if (kind == 6) {
    while (!src.empty()) {
      const size_t before = src.size();
      auto row = TakeMetadataRow(src);
      if (!row.ok()) {
        Require(src.size() == before);
        break;
      }
      AppendMetadataRow(again, row.value());
    }
    Require(Equal(again, ByteView(data + 1, again.size())));
  } else if (auto got = UnmarshalSearchQuery(src); got.ok()) {
    MarshalSearchQuery(again, got.value());
    auto back = UnmarshalSearchQuery(again);
    Require(back.ok() && back.value() == got.value());
  }
  return 0;
}
