// What a decoder of the two ports accepts must encode again, to bytes that decode to the same.
#include <cstdlib>

#include "lib/rpc/insert_codec.h"
#include "lib/rpc/select_codec.h"

namespace {

using namespace vm;  // NOLINT: one small program, nothing includes it
using namespace vm::rpc;  // NOLINT: one small program, nothing includes it

void Require(bool condition) {
  if (!condition) std::abort();
}

void TryArgs(const SelectMethod& method, ByteView src) {
  const auto args = UnmarshalSelectArgs(method, src);
  if (!args.ok()) return;
  ByteBuffer once, twice;
  AppendSelectArgs(once, args.value());
  const auto again = UnmarshalSelectArgs(method, once);
  Require(again.ok());
  AppendSelectArgs(twice, again.value());
  Require(once == twice);
}

void TryReply(const SelectMethod& method, ByteView src) {
  ByteView rest = src;
  const auto reply = TakeSelectReply(method, rest);
  if (!reply.ok()) {
    Require(rest.size() == src.size());
    return;
  }
  ByteBuffer again;
  AppendSelectReply(again, method.payload, reply.value());
  Require(Equal(again, src.first(src.size() - rest.size())));
  if (method.payload != PayloadKind::kTables || !reply.value().error.empty()) return;
  ByteBuffer packed;
  if (method.action == "tsdbStatus") {
    const auto status = UnmarshalTsdbStatus(reply.value().item(0));
    Require(status.ok());
    MarshalTsdbStatus(packed, status.value());
  } else {
    const auto stats = UnmarshalMetricNamesUsageStats(reply.value().item(0));
    Require(stats.ok());
    MarshalMetricNamesUsageStats(packed, stats.value());
  }
  Require(Equal(packed, reply.value().item(0)));
}

void TryInsert(ByteView src) {
  ByteView rest = src;
  const auto request = TakeInsertRequest(rest);
  if (!request.ok()) return;
  ByteBuffer again;
  AppendInsertRequest(again, request.value());
  Require(Equal(again, src.first(src.size() - rest.size())));
  ByteBuffer rows;
  static_cast<void>(UnpackInsertBody(rows, request.value().body).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView src(data + 1, size - 1);
  const auto methods = SelectMethods();
  const size_t kind = data[0] % (2 * methods.size() + 2);
  if (kind < methods.size()) {
    TryArgs(methods[kind], src);
  } else if (kind < 2 * methods.size()) {
    TryReply(methods[kind - methods.size()], src);
  } else if (kind == 2 * methods.size()) {
    TryInsert(src);
  } else {
    ByteView rest = src;
    static_cast<void>(TakeRequestHead(rest).ok());
    static_cast<void>(TakeLegacyPacket(rest).ok());
  }
  return 0;
}
