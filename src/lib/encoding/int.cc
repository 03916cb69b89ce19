#include "lib/encoding/int.h"

namespace vm::encoding {

void AppendVarUint64(ByteBuffer& dst, uint64_t v) {
  while (v >= 0x80) {
    dst.push_back(static_cast<uint8_t>(v) | 0x80);
    v >>= 7;
  }
  dst.push_back(static_cast<uint8_t>(v));
}

Result<uint64_t> TakeVarUint64(ByteView& src) {
  uint64_t value = 0;
  for (size_t i = 0; i < src.size() && i < 10; ++i) {
    const uint8_t byte = src[i];
    if (i == 9 && byte > 1) {
      return Error(ErrorCode::kCorrupted, "cannot unmarshal varuint: too big number");
    }
    value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      src = src.subspan(i + 1);
      return value;
    }
  }
  return Error(ErrorCode::kCorrupted, src.size() < 10
                                          ? "cannot unmarshal varuint: unexpected end of data"
                                          : "cannot unmarshal varuint: more than 10 bytes");
}

void AppendVarInt64(ByteBuffer& dst, int64_t v) {
  if (v == -64) {
    dst.push_back(0xFF);
    dst.push_back(0x00);
    return;
  }
  AppendVarUint64(dst, ZigZag64(v));
}

Result<int64_t> TakeVarInt64(ByteView& src) {
  VM_ASSIGN_OR_RETURN(const uint64_t u, TakeVarUint64(src));
  return UnZigZag64(u);
}

void AppendBytes(ByteBuffer& dst, ByteView bytes) {
  AppendVarUint64(dst, bytes.size());
  Append(dst, bytes);
}

Result<ByteView> TakeBytes(ByteView& src) {
  ByteView in = src;
  VM_ASSIGN_OR_RETURN(const uint64_t size, TakeVarUint64(in));
  if (size > in.size()) {
    return Error(ErrorCode::kCorrupted, "cannot unmarshal bytes: got " + std::to_string(in.size()) +
                                            " bytes; want " + std::to_string(size));
  }
  const ByteView bytes = in.first(size);
  src = in.subspan(size);
  return bytes;
}

}  // namespace vm::encoding
