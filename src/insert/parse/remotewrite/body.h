#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::insert {

/// How to unpack the body of a remote write.
struct RemoteWriteBodyOptions {
  bool prefer_zstd = false;  // Content-Encoding: zstd; otherwise snappy is tried first.
  size_t max_size_bytes = 32 << 20;
  std::string limit_name = "maxInsertRequestSize";  // The flag that errors name.
};

/// What `body` says it unpacks to, be it zstd or snappy; none when it does not say.
std::optional<size_t> AnnouncedBodySize(ByteView body);

/// Unpack `body` into `dst` (replaced): snappy block or zstd, the preferred one first, then the other.
/// The length in the snappy header is checked against the limit before anything is allocated.
/// Errors: kInvalidInput when neither fits or when a size exceeds the limit; kIo without memory for it.
Status UnpackRemoteWriteBody(ByteBuffer& dst, ByteView body, const RemoteWriteBodyOptions& options);

}  // namespace vm::insert
