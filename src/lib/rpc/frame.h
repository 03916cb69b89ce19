#pragma once

#include <cstddef>
#include <string_view>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::rpc {

/// Append a 64-bit length, then the bytes: every text and message between nodes.
void AppendFrame(ByteBuffer& dst, ByteView bytes);
void AppendFrame(ByteBuffer& dst, std::string_view text);

/// Take a frame of at most `max_size` bytes off the front of `src`. Errors: kCorrupted; `src` stays.
Result<ByteView> TakeFrame(ByteView& src, size_t max_size);

}  // namespace vm::rpc
