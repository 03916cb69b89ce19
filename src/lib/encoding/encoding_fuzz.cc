// Decoders end on any input, append nothing on error and never more than asked for.
#include <cstdlib>

#include "lib/encoding/int.h"
#include "lib/encoding/int64_array.h"
#include "lib/encoding/zstd.h"

namespace {

using namespace vm;  // NOLINT: one small program, nothing includes it
using namespace vm::encoding;  // NOLINT: one small program, nothing includes it

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const auto type = static_cast<MarshalType>(data[0] % 8);
  const size_t count = data[1] % 200;
  const uint8_t precision = static_cast<uint8_t>(data[2] % 64 + 1);
  const ByteView src(data + 4, size - 4);
  std::vector<int64_t> values;
  if (UnmarshalInt64Array(values, src, type, static_cast<int8_t>(data[3]), count).ok()) {
    Require(values.size() == count);
    ByteBuffer bytes;
    int64_t first = 0;
    const MarshalType chosen = MarshalInt64Array(bytes, values, 64, first);
    std::vector<int64_t> back;
    Require(UnmarshalInt64Array(back, bytes, chosen, first, count).ok());
    Require(back == values);
    bytes.clear();
    back.clear();
    const MarshalType lossy = MarshalInt64Array(bytes, values, precision, first);
    Require(UnmarshalInt64Array(back, bytes, lossy, first, count).ok());
    Require(back.size() == count);
    EnsureNonDecreasing(back, -5, 5);
  } else {
    Require(values.empty());
  }
  ByteBuffer plain;
  if (!DecompressZstd(plain, src, 10000).ok()) Require(plain.empty());
  Require(plain.size() <= 10000);
  ZstdStreamDecompressor stream;
  ByteView left = src;
  (void)stream.Decompress(plain, left, 10000);
  left = src;
  while (!left.empty()) {
    const size_t before = left.size();
    if (!TakeBytes(left).ok()) {
      Require(left.size() == before);
      break;
    }
  }
  return 0;
}
