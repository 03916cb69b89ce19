#include "select/format/native.h"

#include "lib/bytes/bytes.h"
#include "lib/encoding/int.h"

namespace vm::select {
namespace {

void AppendSized(ByteBuffer& dst, const ByteBuffer& bytes) {
  AppendBigEndian(dst, static_cast<uint32_t>(bytes.size()));
  Append(dst, bytes);
}

}  // namespace

void AppendNativeHeader(std::string& dst, const model::TimeRange& range) {
  ByteBuffer bytes;
  encoding::AppendInt64(bytes, range.min_timestamp);
  encoding::AppendInt64(bytes, range.max_timestamp);
  dst += AsText(bytes);
}

void AppendNativeBlock(std::string& dst, const model::MetricName& name, const model::EncodedBlock& block) {
  ByteBuffer bytes, part;
  name.MarshalNoTenant(part);
  AppendSized(bytes, part);
  part.clear();
  model::MarshalPortableBlock(part, block);
  AppendSized(bytes, part);
  dst += AsText(bytes);
}

}  // namespace vm::select
