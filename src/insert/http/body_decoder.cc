#include "insert/http/body_decoder.h"

#include <zlib.h>

#include <algorithm>
#include <climits>
#include <string>

#include "insert/parse/remotewrite/body.h"
#include "lib/encoding/zstd.h"

namespace vm::insert {
namespace {

constexpr size_t kMaxSnappyBytes = 56'000'000;  // The limit of the reference.
constexpr size_t kOutputStep = 256 << 10;

class PlainDecoder : public BodyDecoder {
 public:
  Result<bool> Feed(ByteBuffer& dst, ByteView& piece) override {
    Append(dst, piece);
    piece = {};
    return false;
  }
  Status Finish(ByteBuffer&) override { return Ok(); }
};

// gzip (several members may follow each other) or a zlib stream; zlib tells them apart.
class ZlibDecoder : public BodyDecoder {
 public:
  ZlibDecoder() { is_open_ = inflateInit2(&stream_, 32 + MAX_WBITS) == Z_OK; }  // Else there is no memory.
  ~ZlibDecoder() override {
    if (is_open_) inflateEnd(&stream_);
  }

  Result<bool> Feed(ByteBuffer& dst, ByteView& piece) override {
    if (!is_open_) return Error(ErrorCode::kIo, "cannot set up zlib");
    if (is_at_end_ && !piece.empty()) {
      inflateReset(&stream_);
      is_at_end_ = false;
    }
    if (is_at_end_) return false;
    const size_t input_size = std::min<size_t>(piece.size(), UINT_MAX);
    stream_.next_in = const_cast<Bytef*>(piece.data());
    stream_.avail_in = static_cast<uInt>(input_size);
    stream_.next_out = out_.get();
    stream_.avail_out = kOutputStep;
    const int code = inflate(&stream_, Z_NO_FLUSH);
    Append(dst, ByteView(out_.get(), kOutputStep - stream_.avail_out));
    piece = piece.subspan(input_size - stream_.avail_in);
    if (code == Z_MEM_ERROR) return Error(ErrorCode::kIo, "cannot decompress the body: out of memory");
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
      return Error(ErrorCode::kInvalidInput, "cannot decompress the body: corrupted gzip or zlib data");
    }
    is_at_end_ = code == Z_STREAM_END;
    return !piece.empty() || (stream_.avail_out == 0 && !is_at_end_);
  }
  Status Finish(ByteBuffer&) override {
    if (is_at_end_) return Ok();
    return Error(ErrorCode::kInvalidInput, "cannot decompress the body: unexpected EOF");
  }

 private:
  z_stream stream_{};
  // Not part of `dst`: growing that by a whole step would clear it each time.
  const std::unique_ptr<uint8_t[]> out_{new uint8_t[kOutputStep]};
  bool is_open_ = false;
  bool is_at_end_ = false;
};

class ZstdDecoder : public BodyDecoder {
 public:
  Result<bool> Feed(ByteBuffer& dst, ByteView& piece) override {
    const size_t size_before = dst.size();
    Status status = decompressor_.Decompress(dst, piece, kOutputStep);
    if (!status.ok()) {
      const bool is_ours = status.error().code() == ErrorCode::kIo;
      return Error(is_ours ? ErrorCode::kIo : ErrorCode::kInvalidInput, status.error().message());
    }
    return !piece.empty() || dst.size() > size_before;
  }
  Status Finish(ByteBuffer&) override {
    if (decompressor_.at_frame_end()) return Ok();
    return Error(ErrorCode::kInvalidInput, "cannot decompress the body: unexpected EOF");
  }

 private:
  encoding::ZstdStreamDecompressor decompressor_;
};

class SnappyDecoder : public BodyDecoder {
 public:
  Result<bool> Feed(ByteBuffer&, ByteView& piece) override {
    if (body_.size() + piece.size() > kMaxSnappyBytes) {
      return Error(ErrorCode::kInvalidInput, "too big snappy body: more than " +
                                                 std::to_string(kMaxSnappyBytes) + " bytes");
    }
    Append(body_, piece);
    piece = {};
    return false;
  }
  Status Finish(ByteBuffer& dst) override {
    RemoteWriteBodyOptions options;
    options.max_size_bytes = kMaxSnappyBytes;
    options.limit_name = "snappy";
    ByteBuffer unpacked;
    VM_TRY(UnpackRemoteWriteBody(unpacked, body_, options));
    Append(dst, unpacked);
    return Ok();
  }

 private:
  ByteBuffer body_;
};

}  // namespace

Result<std::unique_ptr<BodyDecoder>> BodyDecoder::Make(std::string_view content_encoding) {
  std::unique_ptr<BodyDecoder> decoder;
  if (content_encoding.empty() || content_encoding == "none" || content_encoding == "identity") {
    decoder = std::make_unique<PlainDecoder>();
  } else if (content_encoding == "gzip" || content_encoding == "deflate") {
    decoder = std::make_unique<ZlibDecoder>();
  } else if (content_encoding == "zstd") {
    decoder = std::make_unique<ZstdDecoder>();
  } else if (content_encoding == "snappy") {
    decoder = std::make_unique<SnappyDecoder>();
  } else {
    return Error(ErrorCode::kInvalidInput,
                 "unsupported contentType: " + std::string(content_encoding));
  }
  return decoder;
}

}  // namespace vm::insert
