// Peers of the insert and of the select port that say anything, from the hello on.
#include "lib/log/log.h"
#include "lib/net/scripted_stream.h"
#include "lib/rpc/insert_codec.h"
#include "lib/rpc/insert_server.h"
#include "lib/rpc/select_server.h"

using namespace vm;       // NOLINT: one small program, nothing includes it
using namespace vm::rpc;  // NOLINT: one small program, nothing includes it
using fuzz::Require;
using net::asio::awaitable;

namespace {

class Sink : public InsertSink {
 public:
  awaitable<Status> OnRows(ByteBuffer rows) override {
    bytes += rows.size();
    if (!rows.empty() && rows[0] == 'f') co_return Error(ErrorCode::kIo, "no room");
    co_return Ok();
  }
  awaitable<Status> OnMetadata(ByteBuffer rows) override {
    bytes += rows.size();
    co_return Ok();
  }
  bool IsReadOnly() const override { return bytes > 100; }
  size_t bytes = 0;
};

/// Answers each call with something small.
class Handler : public SelectHandler {
 public:
  Result<std::unique_ptr<BlockCursor>> Search(const model::SearchQuery& query, const Deadline&) override {
    if (query.max_metrics > 7) return Error(ErrorCode::kLimitExceeded, "too many");
    return std::unique_ptr<BlockCursor>(std::make_unique<NoBlocks>());
  }
  Result<std::vector<ByteBuffer>> SearchMetricNames(const model::SearchQuery&, const Deadline&) override {
    return std::vector<ByteBuffer>{{1, 2}};
  }
  Result<std::vector<std::string>> SearchLabelNames(const model::SearchQuery&, size_t, const Deadline&) override {
    return std::vector<std::string>{"a", ""};
  }
  Result<std::vector<std::string>> SearchLabelValues(const model::SearchQuery&, std::string_view name, size_t,
                                                     const Deadline&) override {
    return std::vector<std::string>{std::string(name)};
  }
  Result<std::vector<std::string>> SearchTagValueSuffixes(const TagValueSuffixesRequest& request, const Deadline&) override {
    return std::vector<std::string>{request.tag_key};
  }
  Result<uint64_t> SeriesCount(model::Tenant tenant, const Deadline&) override { return uint64_t{tenant.account_id}; }
  Result<model::TsdbStatus> GetTsdbStatus(const TsdbStatusRequest& request, const Deadline&) override {
    model::TsdbStatus status;
    status.series_count_by_focus_label_value = {{request.focus_label, 3}};
    return status;
  }
  Result<uint64_t> DeleteSeries(const model::SearchQuery& query, const Deadline&) override { return uint64_t{query.max_metrics}; }
  Status RegisterMetricNames(std::span<const model::MetricRow> names, const Deadline&) override {
    for (const auto& name : names) fuzz::Touch(AsText(name.metric_name_raw));
    return Ok();
  }
  Result<std::vector<model::Tenant>> SearchTenants(const model::TimeRange&, const Deadline&) override {
    return std::vector<model::Tenant>{{12, 34}};
  }
  Result<model::MetricNamesUsageStats> GetMetricNamesUsageStats(const MetricNamesUsageStatsRequest& request,
                                                                const Deadline&) override {
    model::MetricNamesUsageStats stats;
    stats.records = {{request.match_pattern, 1, 2}};
    return stats;
  }
  Status ResetMetricNamesStats(const Deadline&) override { return Ok(); }
  Result<std::vector<model::MetadataRow>> SearchMetadata(const model::Tenant* tenant, size_t, std::string_view name,
                                                         const Deadline&) override {
    model::MetadataRow row;
    if (tenant != nullptr) row.tenant = *tenant;
    row.name = name;
    return std::vector<model::MetadataRow>{row};
  }

 private:
  class NoBlocks : public BlockCursor {
   public:
    Result<bool> Next() override { return false; }
    ByteView metric_name() const override { return {}; }
    const model::EncodedBlock& block() const override { return block_; }

   private:
    model::EncodedBlock block_;
  };
};

std::string Insert() {
  ByteBuffer out, body;
  Append(out, std::string_view("0vminsert.03\0ok", 15));
  PackInsertBody(body, AsBytes(std::string_view("some rows")));
  AppendInsertRequest(out, {kWriteRows, body});
  AppendInsertRequest(out, {kWriteMetadata, body});
  AppendInsertRequest(out, {kWriteRows, {}});
  AppendInsertRequest(out, {"other", body});
  return std::string(AsText(out));
}

std::string LegacyInsert() {
  ByteBuffer out;
  Append(out, std::string_view("0vminsert.02\0ok", 15));
  AppendLegacyPacket(out, AsBytes(std::string_view("some rows")));
  AppendLegacyPacket(out, {});
  return std::string(AsText(out));
}

std::string Select(std::initializer_list<SelectArgs> calls) {
  ByteBuffer out;
  Append(out, std::string_view("1vmselect.01\0ok", 15));
  for (const SelectArgs& args : calls) AppendSelectRequest(out, args, true, 10);
  return std::string(AsText(out));
}

model::SearchQuery Query() {
  model::SearchQuery query;
  query.tag_filter_groups = {{{"a", "b", true, true}, {"", "m"}}};
  return query;
}

}  // namespace

VM_FUZZ_SEEDS(Insert(), LegacyInsert(), Select({SearchRequest{Query()}, SeriesCountRequest{{1, 2}}}),
              Select({SearchMetricNamesRequest{Query()}, LabelNamesRequest{Query(), 5}}),
              Select({LabelValuesRequest{"l", Query(), 5}, SearchMetadataRequest{model::Tenant{1, 2}, 3, "m"}}),
              Select({TagValueSuffixesRequest{}, TsdbStatusRequest{Query(), "f", 7}, DeleteSeriesRequest{Query()}}),
              Select({RegisterMetricNamesRequest{{{{1, 2, 3}, 4}, {{5}, 6}}}, TenantsRequest{}}),
              Select({MetricNamesUsageStatsRequest{std::nullopt, 3, -1, "x"}, ResetMetricNamesStatsRequest{}}))

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  log::Options options;
  options.min_level = log::Level::kPanic;
  log::Init(std::move(options));
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Handler handler;
  static SelectServer server(handler, {});
  ByteView src(data, size);
  const bool is_insert = fuzz::TakeChoice(src, 2) == 0;
  Sink sink;
  ByteBuffer sent;
  net::RunToEnd([&](const net::asio::any_io_executor& executor) {
    auto stream = std::make_unique<net::ScriptedStream>(executor, src, size % 7 == 0 ? 3 : 1 << 20, sent);
    return is_insert ? ServeInsert(std::move(stream), sink, {}) : server.Serve(std::move(stream));
  });
  Require(sent.size() <= 1000 + 200 * size);
  return 0;
}
