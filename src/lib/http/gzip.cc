#include "lib/http/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <climits>

#include "lib/base/check.h"

namespace vm::http {

struct GzipCompressor::Impl {
  z_stream stream{};
};

GzipCompressor::GzipCompressor() : impl_(std::make_unique<Impl>()) {
  constexpr int kGzipHeader = 16;
  constexpr int kMemoryLevel = 8;
  const int code = deflateInit2(&impl_->stream, Z_BEST_SPEED, Z_DEFLATED, kGzipHeader + MAX_WBITS, kMemoryLevel,
                                Z_DEFAULT_STRATEGY);
  VM_CHECK(code == Z_OK);
}

GzipCompressor::~GzipCompressor() { deflateEnd(&impl_->stream); }

void GzipCompressor::Append(std::string& dst, std::string_view chunk, bool last) {
  z_stream& stream = impl_->stream;
  do {
    const size_t size = std::min<size_t>(chunk.size(), UINT_MAX);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(chunk.data()));
    stream.avail_in = static_cast<uInt>(size);
    chunk.remove_prefix(size);
    const int flush = last && chunk.empty() ? Z_FINISH : Z_NO_FLUSH;
    for (;;) {
      const size_t at = dst.size();
      const size_t room = std::max<size_t>(size / 4, 4096);
      dst.resize(at + room);
      stream.next_out = reinterpret_cast<Bytef*>(dst.data() + at);
      stream.avail_out = static_cast<uInt>(std::min<size_t>(room, UINT_MAX));
      const uInt offered = stream.avail_out;
      const int code = deflate(&stream, flush);
      VM_CHECK(code != Z_STREAM_ERROR);
      dst.resize(at + (offered - stream.avail_out));
      if (flush == Z_FINISH ? code == Z_STREAM_END : stream.avail_out > 0) break;
    }
  } while (!chunk.empty());
}

std::string Gzip(std::string_view text) {
  std::string packed;
  GzipCompressor().Append(packed, text, true);
  return packed;
}

}  // namespace vm::http
