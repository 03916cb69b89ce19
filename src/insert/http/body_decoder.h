#pragma once

#include <memory>
#include <string_view>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::insert {

/// Undoes the Content-Encoding of a body that arrives in pieces. Not thread-safe.
class BodyDecoder {
 public:
  virtual ~BodyDecoder() = default;

  /// Append to `dst` some of what `piece` gives, about 256 KiB at most, and advance `piece`. True: call again, there is
  /// more. Errors: kInvalidInput for a broken body, kIo for want of memory.
  virtual Result<bool> Feed(ByteBuffer& dst, ByteView& piece) = 0;
  /// The body is complete. Errors: kInvalidInput when it is not; kIo.
  virtual Status Finish(ByteBuffer& dst) = 0;

  /// For absent, none, identity, gzip, deflate (zlib), zstd, snappy (a block of at most 56,000,000 bytes).
  /// Errors: kInvalidInput for another encoding.
  static Result<std::unique_ptr<BodyDecoder>> Make(std::string_view content_encoding);
};

}  // namespace vm::insert
