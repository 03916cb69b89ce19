// Any body in pieces gives what it gives in one, and no step gives more than its share.
#include "insert/http/body_decoder.h"

#include <algorithm>

#include "lib/bytes/fuzz.h"
#include "lib/encoding/zstd.h"
#include "lib/http/gzip.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

namespace {

constexpr size_t kMaxOutput = 1 << 20;
constexpr size_t kMaxStep = (256 << 10) + (128 << 10);  // A zstd block may come behind the limit.
constexpr std::string_view kEncodings[] = {"gzip", "deflate", "zstd", "snappy", ""};

struct Output {
  ByteBuffer bytes;
  bool is_good = false;
  bool is_cut = false;  // Longer than a test wants to read.
};

Output Decode(std::string_view encoding, ByteView body, size_t piece_size) {
  Output output;
  auto made = BodyDecoder::Make(encoding);
  Require(made.ok());
  BodyDecoder& decoder = *made.value();
  while (!body.empty()) {
    ByteView piece = body.first(std::min(piece_size, body.size()));
    body = body.subspan(piece.size());
    for (;;) {
      const size_t before = output.bytes.size();
      const auto more = decoder.Feed(output.bytes, piece);
      if (!more.ok()) return output;
      Require(encoding.empty() || output.bytes.size() - before <= kMaxStep);
      if (output.bytes.size() > kMaxOutput) {
        output.is_cut = true;
        return output;
      }
      if (!more.value()) break;
    }
    Require(piece.empty());
  }
  output.is_good = decoder.Finish(output.bytes).ok();
  return output;
}

std::string Zstd(std::string_view text) {
  ByteBuffer bytes;
  encoding::CompressZstd(bytes, AsBytes(text), 1);
  return std::string(AsText(bytes));
}

}  // namespace

VM_FUZZ_SEEDS("0" + http::Gzip("some text, some text") + http::Gzip("more"), "1" + http::Gzip("x"),
              "2" + Zstd("some text, some text") + Zstd("more"), "3\x05\x10hello", "4plain")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  const std::string_view encoding = kEncodings[fuzz::TakeChoice(src, std::size(kEncodings))];
  const Output whole = Decode(encoding, src, size + 1);
  const Output pieces = Decode(encoding, src, 1 + size % 13);
  if (whole.is_cut || pieces.is_cut) return 0;
  // libzstd 1.5.4 refuses a block that repeats a byte no time when it comes in pieces, and takes it in one.
  if (encoding != "zstd") Require(whole.is_good == pieces.is_good);
  if (whole.is_good && pieces.is_good) Require(whole.bytes == pieces.bytes);
  return 0;
}
