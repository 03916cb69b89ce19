#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/model/block.h"
#include "lib/model/metric_name.h"
#include "lib/rpc/select_codec.h"

namespace vm::select {

/// For tests: a marshalled name.
inline ByteBuffer MarshalledName(std::string group, std::vector<model::Tag> tags, model::Tenant tenant = {}) {
  model::MetricName name;
  name.tenant = tenant;
  name.metric_group = std::move(group);
  name.tags = std::move(tags);
  ByteBuffer bytes;
  name.Marshal(bytes);
  return bytes;
}

/// For tests: a marshalled MetricBlock of whole numbers.
inline ByteBuffer MarshalledBlock(const ByteBuffer& name, const std::vector<int64_t>& timestamps, const std::vector<int64_t>& values) {
  ByteBuffer timestamps_data, values_data, bytes;
  model::EncodedBlock block;
  block.header = model::EncodeBlock({}, timestamps, values, 0, 64, timestamps_data, values_data);
  block.timestamps_data = timestamps_data;
  block.values_data = values_data;
  model::MarshalMetricBlock(bytes, {name, block});
  return bytes;
}

}  // namespace vm::select
