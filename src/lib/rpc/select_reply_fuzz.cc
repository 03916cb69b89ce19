// The reader of replies, which takes them off a stream, agrees with their codec.
#include "lib/net/scripted_stream.h"
// It is private to the client, and too small for a file of its own.
#include "lib/rpc/select_client.cc"  // NOLINT

using namespace vm;       // NOLINT: one small program, nothing includes it
using namespace vm::rpc;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

namespace {

struct Reader {
  SelectReply reply;

  Status Add(ByteView item) {
    reply.AddItem(item);
    return Ok();
  }
  bool IsFull() const { return reply.size() % 2 == 1; }
  awaitable<Status> WaitForRoom() { co_return Ok(); }
};

awaitable<void> Read(std::unique_ptr<net::Stream> stream, const SelectMethod& method, Reader& reader, Status& status) {
  net::FramedStream framed(std::move(stream), false, false);
  status = co_await ReadReply(framed, method, reader);
}

/// The reply of the call number `method` with three items, or with `error`.
std::string Seed(size_t method, std::string_view error) {
  const SelectMethod& m = SelectMethods()[method];
  SelectReply reply;
  reply.error = error;
  reply.number = 7;
  reply.trace = "{}";
  ByteBuffer bytes;
  if (m.payload == PayloadKind::kTables && m.action == "tsdbStatus") {
    model::TsdbStatus status;
    status.total_series = 5;
    status.series_count_by_focus_label_value = {{"x", 3}};
    MarshalTsdbStatus(bytes, status);
    reply.AddItem(bytes);
  } else if (m.payload == PayloadKind::kTables) {
    model::MetricNamesUsageStats stats;
    stats.records = {{"x", 1, 2}};
    MarshalMetricNamesUsageStats(bytes, stats);
    reply.AddItem(bytes);
  } else if (m.payload == PayloadKind::kList || m.payload == PayloadKind::kCounted) {
    for (const std::string_view item : {"one", "two", "three"}) reply.AddItem(AsBytes(item));
  }
  bytes.clear();
  AppendSelectReply(bytes, m.payload, reply);
  return static_cast<char>('0' + method) + std::string(AsText(bytes));
}

}  // namespace

VM_FUZZ_SEEDS(Seed(0, ""), Seed(1, ""), Seed(2, ""), Seed(3, ""), Seed(4, ""), Seed(5, ""), Seed(6, ""), Seed(7, ""), Seed(8, ""),
              Seed(9, ""), Seed(10, ""), Seed(11, ""), Seed(12, ""), Seed(0, "error"), Seed(4, "error"))

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  const SelectMethod& method = SelectMethods()[fuzz::TakeChoice(src, SelectMethods().size())];
  ByteBuffer sent;
  Reader reader;
  Status status = Ok();
  net::RunToEnd([&](const net::asio::any_io_executor& executor) {
    return Read(std::make_unique<net::ScriptedStream>(executor, src, size % 7 == 0 ? 3 : 1 << 20, sent), method, reader, status);
  });
  ByteView rest = src;
  const auto taken = TakeSelectReply(method, rest);
  Require(status.ok() == taken.ok());
  if (!status.ok()) return 0;
  ByteBuffer a, b;
  AppendSelectReply(a, method.payload, reader.reply);
  AppendSelectReply(b, method.payload, taken.value());
  Require(a == b);
  return 0;
}
