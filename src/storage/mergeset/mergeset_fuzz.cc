// Index tables: headers and blocks of items. A decoded block encodes to one that decodes to the same items.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "storage/mergeset/block.h"
#include "storage/mergeset/part.h"

namespace {

using namespace vm;            // NOLINT: one small program, nothing includes it
using namespace vm::mergeset;  // NOLINT: one small program, nothing includes it

void Require(bool condition) {
  if (!condition) std::abort();
}

void FuzzHeader(ByteView src) {
  while (!src.empty()) {
    const ByteView before = src;
    const auto header = UnmarshalBlockHeader(src);
    if (!header.ok()) return;
    ByteBuffer again;
    MarshalBlockHeader(again, header.value());
    ByteView rest = again;
    const auto back = UnmarshalBlockHeader(rest);
    Require(back.ok() && rest.empty());
    Require(Equal(back.value().first_item, header.value().first_item));
    Require(back.value().items_count == header.value().items_count);
    Require(src.size() < before.size());
  }
}

/// A header, then the two encoded parts of a block.
void FuzzBlock(ByteView src, size_t items_size) {
  const auto header = UnmarshalBlockHeader(src);
  if (!header.ok()) return;
  items_size = std::min(items_size, src.size());
  ItemBlock block;
  if (!DecodeBlock(header.value(), src.first(items_size), src.subspan(items_size), block).ok()) return;
  Require(block.size() == header.value().items_count && block.bytes() <= kMaxBlockSize);
  if (block.empty() || !block.IsSorted()) return;
  for (size_t i = 0; i < block.size(); ++i) Require(block.LowerBound(block.Item(i)) <= i);
  ByteBuffer items, lens;
  const BlockHeader again = EncodeBlock(block, 1, items, lens);
  ItemBlock back;
  Require(DecodeBlock(again, items, lens, back).ok() && back.size() == block.size());
  for (size_t i = 0; i < block.size(); ++i) Require(Equal(back.Item(i), block.Item(i)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const ByteView src(data + 2, size - 2);
  switch (data[0] % 4) {
    case 0: FuzzHeader(src); break;
    case 1: FuzzBlock(src, data[1]); break;
    case 2:
      if (const auto header = UnmarshalPartHeader({reinterpret_cast<const char*>(src.data()), src.size()});
          header.ok()) {
        const auto back = UnmarshalPartHeader(MarshalPartHeader(header.value()));
        Require(back.ok() && back.value().items_count == header.value().items_count);
        Require(Equal(back.value().last_item, header.value().last_item));
      }
      break;
    default: (void)UnmarshalMetaindex(src).ok();
  }
  return 0;
}
