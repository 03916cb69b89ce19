#include "storage/server/server.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>

#include "lib/model/metric_name.h"
#include "lib/net/run_on.h"
#include "lib/rpc/insert_codec.h"
#include "lib/rpc/insert_conn.h"
#include "lib/rpc/select_client.h"
#include "storage/server/engine_metrics.h"

namespace vm::storage {
namespace {

namespace stdfs = std::filesystem;
using net::asio::awaitable;

constexpr int64_t kNow = 1795392000123;  // 2026-11-23 00:00:00.123 UTC.

class FakeRequest : public http::Request {
 public:
  explicit FakeRequest(const std::string& url) {
    method = "GET";
    target = url;
    const size_t mark = url.find('?');
    path = url.substr(0, mark);
    if (mark != std::string::npos) query = http::ParseQuery(url.substr(mark + 1));
  }
  awaitable<Result<size_t>> ReadBody(std::span<uint8_t>) override { co_return size_t{0}; }
  std::stop_token ClientGone() override { return gone.get_token(); }

  std::stop_source gone;
};

class FakeResponse : public http::Response {
 public:
  void SetStatus(int code) override { code_ = code; }
  int status() const override { return code_; }
  void SetHeader(std::string_view name, std::string_view value) override { headers[std::string(name)] = value; }
  awaitable<Status> Write(std::string_view chunk) override {
    body += chunk;
    co_return Ok();
  }
  awaitable<Status> Finish() override { co_return Ok(); }
  awaitable<void> Abort(std::string) override { co_return; }
  bool started() const override { return false; }

  std::string body;
  std::map<std::string, std::string> headers;

 private:
  int code_ = 0;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() : path_(stdfs::temp_directory_path() / ("vm_server_" + std::to_string(getpid()))), runtime_(2) {
    stdfs::remove_all(path_);
  }
  ~ServerTest() override {
    if (server_) server_->Stop();
    runtime_.Stop();
    server_.reset();
    engine_.reset();
    stdfs::remove_all(path_);
  }
  void Start(uint64_t min_free_disk_space_bytes = 0) {
    EngineOptions options;
    options.path = path_.string();
    options.min_free_disk_space_bytes = min_free_disk_space_bytes;
    options.now_ms = [] { return kNow; };
    auto engine = Engine::Open(std::move(options));
    ASSERT_TRUE(engine.ok()) << engine.error().message();
    engine_ = std::move(engine).value();
    ServerOptions server_options;
    server_options.vminsert_addr = "127.0.0.1:0";
    server_options.vmselect_addr = "127.0.0.1:0";
    server_options.max_tag_value_suffixes = 3;
    server_options.version = "vmstorage-test";
    server_options.registry = &registry_;
    auto server = StorageServer::Start(runtime_, *engine_, server_options);
    ASSERT_TRUE(server.ok()) << server.error().message();
    server_ = std::move(server).value();
    client_ = std::make_unique<rpc::SelectClient>(runtime_, server_->vmselect_addr(), rpc::SelectClientOptions());
  }

  awaitable<Result<rpc::InsertAnswer>> Send(std::string name, ByteBuffer rows) {
    rpc::InsertConnOptions options;
    auto conn = co_await rpc::InsertConn::Dial(server_->vminsert_addr(), options);
    if (!conn.ok()) co_return std::move(conn).error();
    co_return co_await conn.value()->Send(name, rows);
  }
  rpc::InsertAnswer Insert(const std::vector<std::string>& names) {
    ByteBuffer rows;
    for (const std::string& name : names) {
      ByteBuffer raw;
      const std::vector<model::LabelView> labels = {{"", name}, {"job", "x"}};
      model::MarshalMetricNameRaw(raw, {0, 0}, labels);
      model::AppendMetricRow(rows, {raw, kNow, 1});
    }
    auto answer = net::BlockOn(runtime_.MakeStrand(), Send(std::string(rpc::kWriteRows), rows));
    EXPECT_TRUE(answer.ok()) << answer.error().message();
    return answer.ok() ? answer.value() : rpc::InsertAnswer::kUnsupported;
  }
  rpc::CallResult Ask(const rpc::SelectArgs& args) {
    return net::BlockOn(runtime_.MakeStrand(), client_->Call(args, Deadline::After(std::chrono::seconds(10))));
  }
  awaitable<bool> Handle(http::Request& request, http::Response& response) {
    co_return co_await server_->HandleHttp(request, response);
  }
  FakeResponse Get(const std::string& url) {
    FakeRequest request(url);
    FakeResponse response;
    EXPECT_TRUE(net::BlockOn(runtime_.MakeStrand(), Handle(request, response))) << url;
    return response;
  }
  static model::SearchQuery Query(std::vector<model::TagFilter> filters = {}) {
    model::SearchQuery query;
    query.time_range = {kNow, kNow};
    query.tag_filter_groups = {std::move(filters)};
    return query;
  }

  const stdfs::path path_;
  net::Runtime runtime_;
  metrics::Registry registry_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<StorageServer> server_;
  std::unique_ptr<rpc::SelectClient> client_;
};

TEST_F(ServerTest, RowsComeInAndAnswersGoOut) {
  Start();
  EXPECT_EQ(Insert({"a", "b.x", "b.y"}), rpc::InsertAnswer::kAccepted);
  ByteBuffer metadata;
  model::MetadataRow row;
  row.name = "a";
  row.help = "h";
  model::AppendMetadataRow(metadata, row);
  EXPECT_TRUE(net::BlockOn(runtime_.MakeStrand(), Send(std::string(rpc::kWriteMetadata), metadata)).ok());
  EXPECT_EQ(Get("/internal/force_flush").status(), 200);

  EXPECT_EQ(Ask(rpc::SearchRequest{Query()}).reply.size(), 3u);
  EXPECT_EQ(Ask(rpc::SearchRequest{}).reply.error, "missing tag filters");
  EXPECT_EQ(Ask(rpc::SearchMetricNamesRequest{Query({{"job", "x", false, false}})}).reply.size(), 3u);
  EXPECT_EQ(Ask(rpc::LabelNamesRequest{Query(), 0}).reply.size(), 2u);
  EXPECT_EQ(Ask(rpc::LabelNamesRequest{Query(), 1}).reply.size(), 1u);
  EXPECT_EQ(Ask(rpc::LabelValuesRequest{"__name__", Query(), 2}).reply.size(), 2u);
  EXPECT_EQ(Ask(rpc::SeriesCountRequest{}).reply.number, 3u);
  EXPECT_EQ(Ask(rpc::SearchMetadataRequest{}).reply.size(), 1u);
  EXPECT_EQ(Ask(rpc::TenantsRequest{{kNow - 1, kNow}}).reply.size(), 1u);
  rpc::TagValueSuffixesRequest suffixes;
  suffixes.time_range = {kNow, kNow};
  EXPECT_EQ(Ask(suffixes).reply.size(), 2u);
  suffixes.max_suffixes = 2;
  EXPECT_EQ(Ask(suffixes).reply.error,
            "more than -search.maxTagValueSuffixesPerSearch=2 suffixes returned; either narrow down the search or "
            "increase -search.maxTagValueSuffixesPerSearch command-line flag value");
  const auto status = model::TsdbStatus(
      rpc::UnmarshalTsdbStatus(Ask(rpc::TsdbStatusRequest{Query(), "job", 5}).reply.item(0)).value());
  EXPECT_EQ(status.total_series, 3u);
  EXPECT_EQ(Ask(rpc::DeleteSeriesRequest{Query({{"", "a", false, false}})}).reply.number, 1u);
  EXPECT_EQ(Ask(rpc::SearchRequest{Query()}).reply.size(), 2u);
  rpc::RegisterMetricNamesRequest names;
  ByteBuffer raw;
  const std::vector<model::LabelView> labels = {{"", "registered"}};
  model::MarshalMetricNameRaw(raw, {0, 0}, labels);
  names.names = {{raw, kNow}};
  EXPECT_EQ(Ask(names).outcome, rpc::CallOutcome::kOk);
  EXPECT_EQ(Ask(rpc::SearchMetricNamesRequest{Query()}).reply.size(), 3u);
  rpc::MetricNamesUsageStatsRequest usage;
  usage.limit = 10;
  const auto stats = rpc::UnmarshalMetricNamesUsageStats(Ask(usage).reply.item(0));
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats.value().records.size(), 4u);
  EXPECT_EQ(Ask(rpc::ResetMetricNamesStatsRequest()).outcome, rpc::CallOutcome::kOk);

  EXPECT_EQ(registry_.GetCounter("vm_vminsert_metrics_read_total").Get(), 3u);
  EXPECT_EQ(registry_.GetCounter("vm_vminsert_metadata_read_total").Get(), 1u);
}

TEST_F(ServerTest, ThreadsShareALargePacket) {
  Start();
  ByteBuffer rows;
  constexpr size_t kSeries = 12'000;
  for (size_t i = 0; i < 2 * kSeries; ++i) {
    ByteBuffer raw;
    const std::string name = "metric_with_a_long_name_" + std::to_string(i % kSeries);
    const std::vector<model::LabelView> labels = {{"", name}, {"job", "x"}};
    model::MarshalMetricNameRaw(raw, {0, 0}, labels);
    model::AppendMetricRow(rows, {raw, kNow - static_cast<int64_t>(i / kSeries), 1});
  }
  ASSERT_GT(rows.size(), size_t{1} << 20);
  for (size_t size : {rows.size(), rows.size() - 1}) {  // The last row of the second packet is cut off.
    auto answer = net::BlockOn(runtime_.MakeStrand(), Send(std::string(rpc::kWriteRows),
                                                           ByteBuffer(rows.begin(), rows.begin() + static_cast<ptrdiff_t>(size))));
    ASSERT_TRUE(answer.ok()) << answer.error().message();
    EXPECT_EQ(answer.value(), rpc::InsertAnswer::kAccepted);
  }
  EXPECT_EQ(engine_->metrics().rows_added, 4 * kSeries - 1);
  EXPECT_EQ(engine_->metrics().new_timeseries_created, kSeries);
  EXPECT_EQ(registry_.GetCounter("vm_vminsert_metrics_read_total").Get(), 4 * kSeries - 1);
  EXPECT_EQ(Ask(rpc::SeriesCountRequest{}).reply.number, kSeries);
}

TEST_F(ServerTest, NotesWhichPartASearchCouldNotRead) {
  Start();
  ByteBuffer rows, raw;
  const std::vector<model::LabelView> labels = {{"", "a"}};
  model::MarshalMetricNameRaw(raw, {0, 0}, labels);
  for (int64_t i = 0; i < 50; ++i) {
    model::AppendMetricRow(rows, {raw, kNow - i * i, static_cast<double>(i * 7919 % 31)});
  }
  EXPECT_TRUE(net::BlockOn(runtime_.MakeStrand(), Send(std::string(rpc::kWriteRows), rows)).ok());
  EXPECT_EQ(Get("/snapshot/create").status(), 200);  // Writes the rows to a file.
  server_->Stop();
  server_.reset();
  ASSERT_TRUE(engine_->Close().ok());
  engine_.reset();
  std::string part;
  for (const auto& entry : stdfs::directory_iterator(path_ / "data/small/2026_11")) {
    if (!entry.is_directory()) continue;
    part = entry.path().string();
    stdfs::resize_file(entry.path() / "values.bin", 1);
  }
  ASSERT_FALSE(part.empty());
  Start();
  testing::internal::CaptureStderr();
  const auto answer = Ask(rpc::SearchRequest{Query()});
  const std::string logged = testing::internal::GetCapturedStderr();
  EXPECT_NE(answer.outcome, rpc::CallOutcome::kOk) << "cut off in the middle";
  EXPECT_NE(logged.find("a search failed"), std::string::npos) << logged;
  EXPECT_NE(logged.find(part), std::string::npos) << logged;
  EXPECT_GE(registry_.GetCounter("vm_search_read_errors_total").Get(), 1u);
}

TEST_F(ServerTest, RefusesRowsWithoutDiskSpace) {
  Start(UINT64_MAX);
  EXPECT_EQ(Insert({"a"}), rpc::InsertAnswer::kReadOnly);
  EXPECT_EQ(Ask(rpc::SeriesCountRequest{}).reply.number, 0u);
}

TEST_F(ServerTest, ServesSnapshots) {
  Start();
  Insert({"a"});
  EXPECT_EQ(Get("/snapshot/list").body, "{\"status\":\"ok\",\"snapshots\":[]}");
  const auto created = Get("/snapshot/create");
  EXPECT_EQ(created.status(), 200);
  EXPECT_EQ(created.headers.at("Content-Type"), "application/json");
  const std::regex form(R"(\{"status":"ok","snapshot":"20261123000000-[0-9A-F]{16}"\})");
  ASSERT_TRUE(std::regex_match(created.body, form)) << created.body;
  const std::string first = nlohmann::json::parse(created.body)["snapshot"];
  const std::string second = nlohmann::json::parse(Get("/snapshot/create").body)["snapshot"];
  EXPECT_EQ(Get("/snapshot/list").body,
            "{\"status\":\"ok\",\"snapshots\":[\n\"" + first + "\",\n\"" + second + "\"\n]}");
  const auto unknown = Get("/snapshot/delete?snapshot=nothing");
  EXPECT_EQ(unknown.status(), 500);
  EXPECT_EQ(unknown.body, R"({"status":"error","msg":"cannot find snapshot \"nothing\""})");
  EXPECT_EQ(Get("/snapshot/delete?snapshot=" + first).body, R"({"status":"ok"})");
  EXPECT_EQ(Get("/snapshot/delete_all").body, R"({"status":"ok"})");
  EXPECT_EQ(Get("/snapshot/list").body, "{\"status\":\"ok\",\"snapshots\":[]}");
  EXPECT_EQ(registry_.GetCounter("vm_http_request_errors_total{path=\"/snapshot/delete\"}").Get(), 1u);
  FakeRequest request("/snapshot/other");
  FakeResponse response;
  EXPECT_FALSE(net::BlockOn(runtime_.MakeStrand(), Handle(request, response)));
}

TEST_F(ServerTest, ASnapshotNobodyWaitsForGoesAgain) {
  Start();
  FakeRequest request("/snapshot/create");
  request.gone.request_stop();
  FakeResponse response;
  EXPECT_TRUE(net::BlockOn(runtime_.MakeStrand(), Handle(request, response)));
  EXPECT_TRUE(engine_->ListSnapshots().value().empty());
}

TEST_F(ServerTest, PublishesTheMetricsOfTheReference) {
  Start();
  RegisterEngineMetrics(registry_, *engine_, {"/data", 7, 8, true});
  Insert({"a", "b"});
  Get("/internal/force_flush");
  std::string text;
  registry_.Write(text);
  for (const char* line :
       {"\nvm_rows_received_by_storage_total 2\n", "\nvm_rows_added_to_storage_total 2\n",
        "\nvm_new_timeseries_created_total 2\n", "\nvm_rows{type=\"storage/inmemory\"} 2\n",
        "\nvm_parts{type=\"storage/inmemory\"} 1\n", "\nvm_free_disk_space_limit_bytes{path=\"/data\"} 7\n",
        "\nvm_search_max_unique_timeseries 8\n", "\nvm_storage_is_read_only{path=\"/data\"} 0\n",
        "\nvm_slow_row_inserts_total 2\n", "\nvm_cache_entries{type=\"storage/tsid\"} 2\n", "\nvm_snapshots 0\n",
        "\nvm_vmselect_conns{addr=\"127.0.0.1:0\"} 0\n",
        "\nvm_tcplistener_accepts_total{name=\"vminsert\", addr=\"127.0.0.1:0\"} 1\n",
        "\nvm_tcplistener_accepts_total{name=\"vmselect\", addr=\"127.0.0.1:0\"} 0\n",
        "\nvm_protoparser_rows_read_total{type=\"clusternative\",block_type=\"metric_rows\"} 2\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

}  // namespace
}  // namespace vm::storage
