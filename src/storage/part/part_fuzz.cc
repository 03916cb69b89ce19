// Headers of data parts: what is accepted is written again as the same.
#include <cstdlib>
#include <string_view>

#include "storage/part/metaindex.h"
#include "storage/part/part_header.h"

namespace {

using namespace vm;           // NOLINT: one small program, nothing includes it
using namespace vm::storage;  // NOLINT: one small program, nothing includes it

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (const auto header = ParsePartHeader({reinterpret_cast<const char*>(data), size}); header.ok()) {
    const auto back = ParsePartHeader(FormatPartHeader(header.value()));
    Require(back.ok() && back.value() == header.value());
  }
  if (const auto rows = UnmarshalMetaindexRows(ByteView(data, size)); rows.ok()) {
    Require(!rows.value().empty());
    ByteBuffer again;
    for (const auto& row : rows.value()) MarshalMetaindexRow(again, row);
    Require(Equal(again, ByteView(data, size)));
  }
  return 0;
}
