#include "lib/rpc/frame.h"

#include <fmt/format.h>

namespace vm::rpc {

void AppendFrame(ByteBuffer& dst, ByteView bytes) {
  AppendBigEndian<uint64_t>(dst, bytes.size());
  Append(dst, bytes);
}

void AppendFrame(ByteBuffer& dst, std::string_view text) { AppendFrame(dst, AsBytes(text)); }

Result<ByteView> TakeFrame(ByteView& src, size_t max_size) {
  if (src.size() < 8) {
    return Error(ErrorCode::kCorrupted,
                 fmt::format("cannot read the size of a frame: got {} bytes; want 8", src.size()));
  }
  const uint64_t size = LoadBigEndian<uint64_t>(src.data());
  if (size > max_size) {
    return Error(ErrorCode::kCorrupted,
                 fmt::format("too big frame: {} bytes; want at most {}", size, max_size));
  }
  if (size > src.size() - 8) {
    return Error(ErrorCode::kCorrupted,
                 fmt::format("cannot read a frame: got {} bytes; want {}", src.size() - 8, size));
  }
  const ByteView frame = src.subspan(8, size);
  src = src.subspan(8 + size);
  return frame;
}

}  // namespace vm::rpc
