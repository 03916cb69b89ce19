#pragma once

#include <string_view>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::insert {

/// Append the payloads of an AWS Firehose request to `dst`: base64 texts of messages with their length in front.
/// Errors: kInvalidInput.
Status UnpackFirehose(ByteBuffer& dst, std::string_view body);

}  // namespace vm::insert
