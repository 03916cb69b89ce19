// Rows of the inverted index, as they are read from a block, one by one and joined.
#include <algorithm>
#include <cstdlib>

#include "storage/indexdb/records.h"

namespace {

using namespace vm;           // NOLINT: one small program, nothing includes it
using namespace vm::indexdb;  // NOLINT: one small program, nothing includes it

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView src(data, size);
  TagRow row;
  if (UnmarshalTagRow(src, row).ok()) {
    Require(!row.ids.empty() && row.ids.size() % 8 == 0);
    Require(row.ids.data() + row.ids.size() == src.data() + src.size());
  }
  // Each length byte starts an item of a block.
  std::vector<ByteView> items;
  for (ByteView rest = src; !rest.empty();) {
    const size_t n = std::min<size_t>(rest[0], rest.size() - 1);
    items.push_back(rest.subspan(1, n));
    rest = rest.subspan(1 + n);
  }
  std::sort(items.begin(), items.end(), [](ByteView a, ByteView b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
  });
  if (items.empty()) return 0;
  mergeset::ItemBlock block;
  for (const ByteView item : items) block.Add(item);
  MergeTagRows(block);
  Require(!block.empty() && block.size() <= items.size() && block.IsSorted());
  Require(Equal(block.Item(0), items.front()) || block.size() < items.size());
  return 0;
}
