#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::encoding {

/// Append one zstd frame of `src`: content size, no checksum, no dictionary. Contexts are reused per thread. With `window_log` repetitions
/// are found as far back as 2^window_log bytes instead of what the level looks at (512 KiB at level 1); readers that take the
/// frame whole need no more memory for that, others need that much (all take 8 MiB, 23).
void CompressZstd(ByteBuffer& dst, ByteView src, int level, int window_log = 0);

/// Fill `dst` with the content of the frame in `src`. Errors: kCorrupted for a broken frame or another size; `dst` holds anything then. Here and
/// below kIo without memory for the work.
Status DecompressZstdTo(std::span<uint8_t> dst, ByteView src);

/// What the only frame in `src` says it unpacks to; none when it does not say, or when `src` is something else.
std::optional<size_t> ZstdContentSize(ByteView src);

/// Append the content of the zstd frame or frames in `src`. Any valid frame is accepted.
/// Errors: kCorrupted for broken frames or when more than `max_size` bytes would be appended; `dst`
/// keeps its old content then.
Status DecompressZstd(ByteBuffer& dst, ByteView src, size_t max_size);

/// One direction of a connection: a zstd frame that is flushed after each message and never ended.
/// Not thread-safe.
class ZstdStreamCompressor {
 public:
  explicit ZstdStreamCompressor(int level);
  ~ZstdStreamCompressor();
  ZstdStreamCompressor(const ZstdStreamCompressor&) = delete;
  ZstdStreamCompressor& operator=(const ZstdStreamCompressor&) = delete;

  void Compress(ByteBuffer& dst, ByteView src);
  /// Make everything compressed so far readable by the peer.
  void Flush(ByteBuffer& dst);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

/// Reads what ZstdStreamCompressor writes, and concatenated frames. Not thread-safe.
class ZstdStreamDecompressor {
 public:
  ZstdStreamDecompressor();
  ~ZstdStreamDecompressor();
  ZstdStreamDecompressor(const ZstdStreamDecompressor&) = delete;
  ZstdStreamDecompressor& operator=(const ZstdStreamDecompressor&) = delete;

  /// Append what `src` gives, at most about `max_size` bytes; `src` is advanced past what was used.
  /// Call again with what is left, also with an empty `src`, until nothing is appended.
  Status Decompress(ByteBuffer& dst, ByteView& src, size_t max_size);
  /// Whether what was read so far ends with a whole frame, or is nothing.
  bool at_frame_end() const;

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace vm::encoding
