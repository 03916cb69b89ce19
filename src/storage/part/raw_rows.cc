#include "storage/part/raw_rows.h"

#include <algorithm>

#include "lib/decimal/decimal.h"
#include "storage/part/merge.h"

namespace vm::storage {
Result<PartBuffers> BuildPart(std::vector<RawRow>& rows, uint64_t* lossy_blocks) {
  VM_CHECK(!rows.empty());
  // Stable, so that what equal timestamps give does not depend on chance.
  std::stable_sort(rows.begin(), rows.end(), [](const RawRow& a, const RawRow& b) {
    if (a.tsid != b.tsid) return a.tsid < b.tsid;
    return a.timestamp < b.timestamp;
  });
  PartBuffers buffers;
  const auto writer = PartWriter::ToMemory(buffers, kRawRowsLevel);
  std::vector<int64_t> timestamps, mantissas;
  std::vector<double> values;
  ByteBuffer timestamps_data, values_data;
  size_t short_blocks = 0;
  for (size_t from = 0; from < rows.size();) {
    if (from > 0 && rows[from].tsid != rows[from - 1].tsid) short_blocks = 0;
    CommonScale common;
    bool lossy = false;
    const size_t limit = std::min(rows.size(), from + model::kMaxRowsPerBlock);
    timestamps.clear();
    values.clear();
    size_t to = from;
    for (; to < limit && rows[to].tsid == rows[from].tsid; ++to) {
      // A block's common exponent must not change a value that is exact alone.
      if (const decimal::Decimal d = decimal::FromFloat(rows[to].value); !lossy && !common.Join(d.mantissa, d.exponent)) {
        if (short_blocks < kShortBlocksLimit) break;
        lossy = true;
      }
      timestamps.push_back(rows[to].timestamp);
      values.push_back(rows[to].value);
    }
    short_blocks = to - from < kShortBlockRows ? short_blocks + 1 : 0;
    if (lossy && lossy_blocks != nullptr) ++*lossy_blocks;
    mantissas.clear();
    timestamps_data.clear();
    values_data.clear();
    const int16_t scale = decimal::AppendFloatsToDecimals(mantissas, values);
    const model::BlockHeader header =
        model::EncodeBlock(rows[from].tsid, timestamps, mantissas, scale, rows[from].precision_bits,
                           timestamps_data, values_data);
    VM_TRY(writer->Add({header, timestamps_data, values_data}));
    from = to;
  }
  VM_ASSIGN_OR_RETURN(const PartHeader header, writer->Finish(0));
  static_cast<void>(header);
  return buffers;
}

}  // namespace vm::storage
