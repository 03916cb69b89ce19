#include "lib/model/rows.h"

#include <bit>

#include "lib/encoding/int.h"

namespace vm::model {
namespace {

void AppendText(ByteBuffer& dst, std::string_view text) {
  VM_CHECK(text.size() <= 65535);
  AppendBigEndian(dst, static_cast<uint16_t>(text.size()));
  Append(dst, text);
}

Status TakeText(ByteView& src, std::string& dst) {
  VM_ASSIGN_OR_RETURN(const uint16_t size, encoding::TakeUint<uint16_t>(src));
  if (src.size() < size) {
    return Error(ErrorCode::kCorrupted, "got " + std::to_string(src.size()) + " bytes; want " +
                                            std::to_string(size));
  }
  dst.assign(AsText(src.first(size)));
  src = src.subspan(size);
  return Ok();
}

}  // namespace

size_t MetricRowSize(const MetricRow& row) noexcept {
  size_t size = 1 + row.metric_name_raw.size() + 16;
  for (size_t rest = row.metric_name_raw.size() >> 7; rest > 0; rest >>= 7) ++size;
  return size;
}

void AppendMetricRow(ByteBuffer& dst, const MetricRow& row) {
  encoding::AppendBytes(dst, row.metric_name_raw);
  const size_t at = dst.size();
  dst.resize(at + 16);
  uint8_t* to = StoreBigEndian(dst.data() + at, static_cast<uint64_t>(row.timestamp));
  StoreBigEndian(to, std::bit_cast<uint64_t>(row.value));
}

Result<MetricRow> TakeMetricRow(ByteView& src) {
  ByteView in = src;
  MetricRow row;
  auto name = encoding::TakeBytes(in);
  if (!name.ok()) return std::move(name).error().WithContext("cannot unmarshal name of a metric row");
  row.metric_name_raw = name.value();
  if (in.size() < 16) {
    return Error(ErrorCode::kCorrupted, "cannot unmarshal timestamp and value of a metric row: got " +
                                            std::to_string(in.size()) + " bytes; want 16");
  }
  row.timestamp = static_cast<int64_t>(TakeBigEndian<uint64_t>(in));
  row.value = std::bit_cast<double>(TakeBigEndian<uint64_t>(in));
  src = in;
  return row;
}

Status TakeMetricRows(ByteView& src, size_t max_rows, std::vector<MetricRow>& rows) {
  rows.clear();
  while (!src.empty() && rows.size() < max_rows) {
    // Sizes of one or two bytes are those of nearly all names.
    size_t name_size = src[0];
    size_t at = 1;
    if (name_size >= 0x80 && src.size() > 1 && src[1] < 0x80) {
      name_size = (name_size & 0x7f) | size_t{src[1]} << 7;
      at = 2;
    }
    if (name_size < size_t{0x80} << (7 * (at - 1)) && src.size() >= at + name_size + 16) [[likely]] {
      const uint8_t* after_name = src.data() + at + name_size;
      rows.push_back({src.subspan(at, name_size), static_cast<int64_t>(LoadBigEndian<uint64_t>(after_name)),
                      std::bit_cast<double>(LoadBigEndian<uint64_t>(after_name + 8))});
      src = src.subspan(at + name_size + 16);
      continue;
    }
    VM_ASSIGN_OR_RETURN(const MetricRow row, TakeMetricRow(src));
    rows.push_back(row);
  }
  return Ok();
}

void AppendMetadataRow(ByteBuffer& dst, const MetadataRow& row) {
  AppendBigEndian(dst, row.tenant.account_id);
  AppendBigEndian(dst, row.tenant.project_id);
  AppendBigEndian(dst, row.type);
  AppendText(dst, row.name);
  AppendText(dst, row.help);
  AppendText(dst, row.unit);
}

Result<MetadataRow> TakeMetadataRow(ByteView& src) {
  if (src.size() < 18) {
    return Error(ErrorCode::kCorrupted, "cannot unmarshal metadata row: got " +
                                            std::to_string(src.size()) + " bytes; want at least 18");
  }
  ByteView in = src;
  MetadataRow row;
  row.tenant.account_id = TakeBigEndian<uint32_t>(in);
  row.tenant.project_id = TakeBigEndian<uint32_t>(in);
  row.type = TakeBigEndian<uint32_t>(in);
  for (std::string* text : {&row.name, &row.help, &row.unit}) {
    if (Status s = TakeText(in, *text); !s.ok()) {
      return std::move(s).error().WithContext("cannot unmarshal metadata row");
    }
  }
  src = in;
  return row;
}

}  // namespace vm::model
