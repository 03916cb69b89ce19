// A body gives the same in one piece and in small ones; samples lie in the range of its header.
#include "insert/parse/native/native.h"

#include "lib/bytes/fuzz.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

namespace {

std::string Body(std::string_view hex) {
  ByteBuffer bytes;
  Require(FromHex(hex, bytes));
  return std::string(AsText(bytes));
}

struct Counts {
  size_t blocks = 0, samples = 0;
  bool is_good = true;
  bool operator==(const Counts&) const = default;
};

int64_t Unzigzag(uint64_t bits) { return static_cast<int64_t>(bits >> 1) ^ -static_cast<int64_t>(bits & 1); }

/// Reads `body` in pieces as the handler does.
Counts Read(ByteView body, size_t piece) {
  NativeReader reader;
  Counts counts;
  size_t start = 0;
  for (size_t end = 0; counts.is_good;) {
    end = std::min(body.size(), end + piece);
    const ByteView bytes = body.subspan(start, end - start);
    const auto whole = reader.WholeSize(bytes, end == body.size());
    if (!whole.ok()) {
      counts.is_good = false;
      break;
    }
    Require(whole.value() <= bytes.size() && (end < body.size() || whole.value() == bytes.size()));
    ByteView rest = bytes.first(whole.value());
    for (;;) {
      const auto next = reader.Next(rest);
      counts.is_good = next.ok();
      if (!next.ok() || next.value() == nullptr) break;
      const NativeBlock& block = *next.value();
      Require(block.timestamps.size() == block.values.size());
      for (const int64_t timestamp : block.timestamps) {
        Require(timestamp >= Unzigzag(LoadBigEndian<uint64_t>(body.data())) &&
                timestamp <= Unzigzag(LoadBigEndian<uint64_t>(body.data() + 8)));
      }
      ++counts.blocks;
      counts.samples += block.values.size();
    }
    start += whole.value();
    if (end == body.size()) break;
  }
  return counts;
}

}  // namespace

VM_FUZZ_SEEDS(Body("0000000000000000" "00000343ff126600" "0000000e" "62617201" "7801" "3c713e275c747a01"
                   "00000014" "80f0bdf8bf68" "80f0bdf8bf68" "06" "01" "00" "03" "03" "40" "00" "00"),
              Body("0000000000000000" "fffffffffffffffe" "00000002" "6101"
                   "00000014" "80f0bdf8bf68" "80f0bdf8bf68" "06" "01" "00" "03" "03" "40" "00" "00" "00000000" "00000000"))

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView body(data, size);
  const Counts whole = Read(body, size + 1);
  const Counts pieces = Read(body, 7);
  // A broken size is seen before the blocks in front of it are read, or behind them.
  if (whole.is_good) Require(whole == pieces);
  Require(whole.is_good == pieces.is_good);
  return 0;
}
