#include "lib/model/tsid.h"

namespace vm::model {

void MarshalTsid(ByteBuffer& dst, const Tsid& tsid) {
  uint8_t bytes[kTsidSize];
  uint8_t* at = bytes;
  at = StoreBigEndian(at, tsid.account_id);
  at = StoreBigEndian(at, tsid.project_id);
  at = StoreBigEndian(at, tsid.metric_group_id);
  at = StoreBigEndian(at, tsid.job_id);
  at = StoreBigEndian(at, tsid.instance_id);
  StoreBigEndian(at, static_cast<uint64_t>(tsid.metric_id));
  Append(dst, ByteView(bytes));
}

Result<Tsid> UnmarshalTsid(ByteView& src) {
  if (src.size() < kTsidSize) {
    return Error(ErrorCode::kCorrupted, "cannot unmarshal tsid: got " + std::to_string(src.size()) +
                                            " bytes; want " + std::to_string(kTsidSize));
  }
  Tsid tsid;
  const uint8_t* const at = src.data();
  tsid.account_id = LoadBigEndian<uint32_t>(at);
  tsid.project_id = LoadBigEndian<uint32_t>(at + 4);
  tsid.metric_group_id = LoadBigEndian<uint64_t>(at + 8);
  tsid.job_id = LoadBigEndian<uint32_t>(at + 16);
  tsid.instance_id = LoadBigEndian<uint32_t>(at + 20);
  tsid.metric_id = MetricId{LoadBigEndian<uint64_t>(at + 24)};
  src = src.subspan(kTsidSize);
  return tsid;
}

}  // namespace vm::model
