#include "insert/parse/remotewrite/body.h"

#include <snappy.h>

#include <utility>

#include "lib/encoding/zstd.h"

namespace vm::insert {
namespace {

// A full literal or copy of 64 bytes takes at least 3 bytes, so a block cannot grow by more than this.
constexpr size_t kMaxSnappyRatio = 64;
constexpr const char* kCorruptSnappy = "snappy: corrupt input";

Error TooBig(const RemoteWriteBodyOptions& options) {
  return Error(ErrorCode::kInvalidInput, "too big decompressed data size exceeding -" +
                                             options.limit_name + "=" +
                                             std::to_string(options.max_size_bytes) + " bytes");
}

/// The body is to blame, but for want of memory.
Status OfBody(Status status) {
  if (status.ok() || status.error().code() == ErrorCode::kIo) return status;
  return Error(ErrorCode::kInvalidInput, status.error().message());
}

Status UnpackSnappy(ByteBuffer& dst, ByteView body, const RemoteWriteBodyOptions& options) {
  const char* data = reinterpret_cast<const char*>(body.data());
  size_t size = 0;
  if (!snappy::GetUncompressedLength(data, body.size(), &size)) {
    return Error(ErrorCode::kInvalidInput, kCorruptSnappy);
  }
  if (size > options.max_size_bytes) return TooBig(options);
  if (size > kMaxSnappyRatio * body.size()) {
    return Error(ErrorCode::kInvalidInput, kCorruptSnappy);
  }
  dst.resize(size);  // What is there is not cleared first: that would write every byte twice.
  if (!snappy::RawUncompress(data, body.size(), reinterpret_cast<char*>(dst.data()))) {
    dst.clear();
    return Error(ErrorCode::kInvalidInput, kCorruptSnappy);
  }
  return Ok();
}

Status UnpackZstd(ByteBuffer& dst, ByteView body, const RemoteWriteBodyOptions& options) {
  if (const std::optional<size_t> size = encoding::ZstdContentSize(body)) {
    if (*size > options.max_size_bytes) return TooBig(options);
    dst.resize(*size);  // As above.
    return OfBody(encoding::DecompressZstdTo(dst, body));
  }
  dst.clear();
  return OfBody(encoding::DecompressZstd(dst, body, options.max_size_bytes));
}

}  // namespace

std::optional<size_t> AnnouncedBodySize(ByteView body) {
  constexpr uint8_t kZstdMagic[] = {0x28, 0xb5, 0x2f, 0xfd};
  if (body.size() >= sizeof kZstdMagic && Equal(body.first(sizeof kZstdMagic), kZstdMagic)) {
    return encoding::ZstdContentSize(body);
  }
  // Frames that zstd skips (0x184D2A50 to 5F) look like a short snappy block; what follows says nothing here.
  constexpr uint8_t kSkippableMagic[] = {0x2a, 0x4d, 0x18};
  if (body.size() >= 4 && (body[0] & 0xf0) == 0x50 && Equal(body.subspan(1, sizeof kSkippableMagic), kSkippableMagic)) return std::nullopt;
  size_t size = 0;
  if (!snappy::GetUncompressedLength(reinterpret_cast<const char*>(body.data()), body.size(), &size)) return std::nullopt;
  return size;
}

Status UnpackRemoteWriteBody(ByteBuffer& dst, ByteView body,
                             const RemoteWriteBodyOptions& options) {
  if (body.size() > options.max_size_bytes) {
    return Error(ErrorCode::kInvalidInput,
                 "too big data size exceeding -" + options.limit_name + "=" +
                     std::to_string(options.max_size_bytes) + " bytes");
  }
  if (body.empty()) {
    dst.clear();
    return Ok();
  }
  Status first = options.prefer_zstd ? UnpackZstd(dst, body, options) : UnpackSnappy(dst, body, options);
  if (first.ok() || first.error().code() == ErrorCode::kIo) return first;
  dst.clear();
  Status second = options.prefer_zstd ? UnpackSnappy(dst, body, options) : UnpackZstd(dst, body, options);
  if (second.ok() || second.error().code() == ErrorCode::kIo) return second;
  dst.clear();
  return Error(ErrorCode::kInvalidInput,
               "cannot decompress " + std::string(options.prefer_zstd ? "zstd" : "snappy") +
                   "-encoded request with length " + std::to_string(body.size()) + ": " +
                   std::move(first).error().message());
}

}  // namespace vm::insert
