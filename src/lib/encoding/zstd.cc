#include "lib/encoding/zstd.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <memory>
#include <string>

namespace vm::encoding {
namespace {

struct FreeContexts {
  void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
  void operator()(ZSTD_DCtx* d) const { ZSTD_freeDCtx(d); }
};

ZSTD_CCtx* ThreadCompressor() {
  thread_local std::unique_ptr<ZSTD_CCtx, FreeContexts> context(ZSTD_createCCtx());
  VM_CHECK(context != nullptr);
  return context.get();
}

ZSTD_DCtx* ThreadDecompressor() {
  thread_local std::unique_ptr<ZSTD_DCtx, FreeContexts> context(ZSTD_createDCtx());
  VM_CHECK(context != nullptr);
  return context.get();
}

Error ZstdError(size_t code) {
  return Error(ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation ? ErrorCode::kIo : ErrorCode::kCorrupted,
               std::string("cannot decompress zstd data: ") + ZSTD_getErrorName(code));
}

constexpr size_t kChunkSize = 128 * 1024;

/// Whether these bytes begin with a frame of a zstd before 1.0. The library may be built with the decoders of those; the
/// reference's is not, and what they take depends on how the input is cut. Only frames with the magics 28 B5 2F FD and
/// 5? 2A 4D 18 (to be skipped) exist since.
bool IsLegacyFrame(ByteView src) { return !src.empty() && src[0] != 0x28 && (src[0] & 0xf0) != 0x50; }

Error LegacyError() { return Error(ErrorCode::kCorrupted, "cannot decompress zstd data: unknown frame descriptor"); }


size_t Compress(uint8_t* dst, size_t room, ByteView src, int level, int window_log) {
  ZSTD_CCtx* context = ThreadCompressor();
  size_t n = 0;
  if (window_log == 0) {
    n = ZSTD_compressCCtx(context, dst, room, src.data(), src.size(), level);
  } else {
    ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
    n = ZSTD_compress2(context, dst, room, src.data(), src.size());
  }
  VM_CHECK_MSG(!ZSTD_isError(n), ZSTD_getErrorName(n));
  return n;
}

}  // namespace

void CompressZstd(ByteBuffer& dst, ByteView src, int level, int window_log) {
  const size_t at = dst.size();
  const size_t bound = ZSTD_compressBound(src.size());
  if (bound > kChunkSize) {
    // Megabytes are not zeroed first, and their pages not touched, for the few percent that are written.
    const auto packed = std::make_unique_for_overwrite<uint8_t[]>(bound);
    const size_t n = Compress(packed.get(), bound, src, level, window_log);
    Append(dst, ByteView(packed.get(), n));
    return;
  }
  dst.resize(at + bound);
  dst.resize(at + Compress(dst.data() + at, bound, src, level, window_log));
}

std::optional<size_t> ZstdContentSize(ByteView src) {
  if (IsLegacyFrame(src)) return std::nullopt;
  const unsigned long long size = ZSTD_getFrameContentSize(src.data(), src.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) return std::nullopt;
  if (ZSTD_findFrameCompressedSize(src.data(), src.size()) != src.size()) return std::nullopt;
  return static_cast<size_t>(size);
}

Status DecompressZstdTo(std::span<uint8_t> dst, ByteView src) {
  if (IsLegacyFrame(src)) return LegacyError();
  const size_t n = ZSTD_decompressDCtx(ThreadDecompressor(), dst.data(), dst.size(), src.data(), src.size());
  if (ZSTD_isError(n)) return ZstdError(n);
  if (n != dst.size()) {
    return Error(ErrorCode::kCorrupted, "cannot decompress zstd data: content of " + std::to_string(n) + " bytes instead of " +
                                            std::to_string(dst.size()));
  }
  return Ok();
}

Status DecompressZstd(ByteBuffer& dst, ByteView src, size_t max_size) {
  const size_t start = dst.size();
  const auto fail = [&](Error error) {
    dst.resize(start);
    return error;
  };
  if (src.empty()) return Ok();
  if (IsLegacyFrame(src)) return LegacyError();
  // The common case: one frame that says its size.
  const unsigned long long size = ZSTD_getFrameContentSize(src.data(), src.size());
  if (size == ZSTD_CONTENTSIZE_ERROR) {
    return Error(ErrorCode::kCorrupted, "cannot decompress zstd data: bad frame header");
  }
  const size_t frame_size = ZSTD_findFrameCompressedSize(src.data(), src.size());
  if (size != ZSTD_CONTENTSIZE_UNKNOWN && frame_size == src.size()) {
    if (size > max_size) {
      return Error(ErrorCode::kCorrupted, "cannot decompress zstd data: content of " +
                                              std::to_string(size) + " bytes exceeds " +
                                              std::to_string(max_size) + " bytes");
    }
    dst.resize(start + size);
    const size_t n = ZSTD_decompressDCtx(ThreadDecompressor(), dst.data() + start, size, src.data(),
                                         src.size());
    if (ZSTD_isError(n)) return fail(ZstdError(n));
    dst.resize(start + n);
    return Ok();
  }
  ZSTD_DCtx* context = ThreadDecompressor();
  ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
  ZSTD_inBuffer in{src.data(), src.size(), 0};
  size_t last = 1;
  while (true) {
    const size_t at = dst.size();
    dst.resize(at + kChunkSize);
    ZSTD_outBuffer out{dst.data() + at, kChunkSize, 0};
    if (last == 0 && IsLegacyFrame(src.subspan(in.pos))) return fail(LegacyError());
    last = ZSTD_decompressStream(context, &out, &in);
    dst.resize(at + out.pos);
    if (ZSTD_isError(last)) return fail(ZstdError(last));
    if (dst.size() - start > max_size) {
      return fail(Error(ErrorCode::kCorrupted, "cannot decompress zstd data: content exceeds " +
                                                   std::to_string(max_size) + " bytes"));
    }
    if (in.pos == in.size && out.pos < out.size) break;
  }
  if (last != 0) {
    return fail(Error(ErrorCode::kCorrupted, "cannot decompress zstd data: unexpected end"));
  }
  return Ok();
}

struct ZstdStreamCompressor::Context {
  std::unique_ptr<ZSTD_CCtx, FreeContexts> zstd;
};

ZstdStreamCompressor::ZstdStreamCompressor(int level) : context_(std::make_unique<Context>()) {
  context_->zstd.reset(ZSTD_createCCtx());
  VM_CHECK(context_->zstd != nullptr);
  ZSTD_CCtx_setParameter(context_->zstd.get(), ZSTD_c_compressionLevel, level);
}

ZstdStreamCompressor::~ZstdStreamCompressor() = default;

namespace {

void Run(ZSTD_CCtx* context, ByteBuffer& dst, ByteView src, ZSTD_EndDirective directive) {
  ZSTD_inBuffer in{src.data(), src.size(), 0};
  while (true) {
    const size_t at = dst.size();
    dst.resize(at + std::max<size_t>(ZSTD_CStreamOutSize(), 1024));
    ZSTD_outBuffer out{dst.data() + at, dst.size() - at, 0};
    const size_t left = ZSTD_compressStream2(context, &out, &in, directive);
    dst.resize(at + out.pos);
    VM_CHECK_MSG(!ZSTD_isError(left), ZSTD_getErrorName(left));
    if (in.pos == in.size && (directive == ZSTD_e_continue || left == 0)) return;
  }
}

}  // namespace

void ZstdStreamCompressor::Compress(ByteBuffer& dst, ByteView src) {
  Run(context_->zstd.get(), dst, src, ZSTD_e_continue);
}

void ZstdStreamCompressor::Flush(ByteBuffer& dst) {
  Run(context_->zstd.get(), dst, {}, ZSTD_e_flush);
}

struct ZstdStreamDecompressor::Context {
  std::unique_ptr<ZSTD_DCtx, FreeContexts> zstd;
  bool at_frame_end = true;
};

bool ZstdStreamDecompressor::at_frame_end() const { return context_->at_frame_end; }

ZstdStreamDecompressor::ZstdStreamDecompressor() : context_(std::make_unique<Context>()) {
  context_->zstd.reset(ZSTD_createDCtx());
  VM_CHECK(context_->zstd != nullptr);
}

ZstdStreamDecompressor::~ZstdStreamDecompressor() = default;

Status ZstdStreamDecompressor::Decompress(ByteBuffer& dst, ByteView& src, size_t max_size) {
  ZSTD_inBuffer in{src.data(), src.size(), 0};
  size_t appended = 0;
  while (appended < max_size) {
    if (context_->at_frame_end && IsLegacyFrame(src.subspan(in.pos))) return LegacyError();
    const size_t at = dst.size();
    const size_t room = std::min(kChunkSize, max_size - appended);
    dst.resize(at + room);
    ZSTD_outBuffer out{dst.data() + at, room, 0};
    const size_t in_before = in.pos;
    const size_t n = ZSTD_decompressStream(context_->zstd.get(), &out, &in);
    if (in.pos > in_before || out.pos > 0) context_->at_frame_end = n == 0;
    dst.resize(at + out.pos);
    appended += out.pos;
    if (ZSTD_isError(n)) return ZstdError(n);
    if (in.pos == in.size && out.pos < room) break;
  }
  src = src.subspan(in.pos);
  return Ok();
}

}  // namespace vm::encoding
