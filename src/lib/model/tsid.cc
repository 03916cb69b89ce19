#include "lib/model/tsid.h"

namespace vm::model {

void MarshalTsid(ByteBuffer& dst, const Tsid& tsid) {
  AppendBigEndian(dst, tsid.account_id);
  AppendBigEndian(dst, tsid.project_id);
  AppendBigEndian(dst, tsid.metric_group_id);
  AppendBigEndian(dst, tsid.job_id);
  AppendBigEndian(dst, tsid.instance_id);
  AppendBigEndian(dst, static_cast<uint64_t>(tsid.metric_id));
}

Result<Tsid> UnmarshalTsid(ByteView& src) {
  if (src.size() < kTsidSize) {
    return Error(ErrorCode::kCorrupted, "cannot unmarshal tsid: got " + std::to_string(src.size()) +
                                            " bytes; want " + std::to_string(kTsidSize));
  }
  Tsid tsid;
  tsid.account_id = TakeBigEndian<uint32_t>(src);
  tsid.project_id = TakeBigEndian<uint32_t>(src);
  tsid.metric_group_id = TakeBigEndian<uint64_t>(src);
  tsid.job_id = TakeBigEndian<uint32_t>(src);
  tsid.instance_id = TakeBigEndian<uint32_t>(src);
  tsid.metric_id = MetricId{TakeBigEndian<uint64_t>(src)};
  return tsid;
}

}  // namespace vm::model
