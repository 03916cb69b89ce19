#include "storage/part/raw_rows.h"

#include <algorithm>

#include "lib/decimal/decimal.h"

namespace vm::storage {

Result<PartBuffers> BuildPart(std::vector<RawRow>& rows) {
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
  for (size_t from = 0; from < rows.size();) {
    const size_t limit = std::min(rows.size(), from + model::kMaxRowsPerBlock);
    timestamps.clear();
    values.clear();
    size_t to = from;
    for (; to < limit && rows[to].tsid == rows[from].tsid; ++to) {
      timestamps.push_back(rows[to].timestamp);
      values.push_back(rows[to].value);
    }
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
