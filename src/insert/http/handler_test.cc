#include "insert/http/handler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <snappy.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <new>
#include <protozero/pbf_writer.hpp>

#include "insert/ship/node_client.h"
#include "lib/encoding/zstd.h"
#include "lib/http/gzip.h"
#include "lib/model/metric_name.h"
#include "lib/model/rows.h"
#include "lib/net/run_on.h"
#include "lib/net/runtime.h"

namespace {
/// Allocations of exactly this size fail.
std::atomic<size_t> refused_size{0};
}  // namespace

void* operator new(size_t size) {
  if (size == refused_size.load(std::memory_order_relaxed) && size > 0) throw std::bad_alloc();
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace vm::insert {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

/// What the fake nodes have taken. Thread-safe.
class Taken {
 public:
  void OnlyCount() { only_counts_ = true; }
  size_t bytes() {
    std::lock_guard lock(mutex_);
    return bytes_;
  }
  void Add(ByteView rows) {
    std::lock_guard lock(mutex_);
    bytes_ += rows.size();
    if (only_counts_) return;
    rows_.insert(rows_.end(), rows.begin(), rows.end());
  }
  ByteBuffer Take() {
    std::lock_guard lock(mutex_);
    return std::exchange(rows_, {});
  }

 private:
  std::mutex mutex_;
  ByteBuffer rows_;
  size_t bytes_ = 0;
  bool only_counts_ = false;
};

class FakeNode : public NodeClient {
 public:
  explicit FakeNode(Taken& taken) : taken_(taken) {}
  asio::awaitable<ConnectOutcome> Connect() override {
    is_connected_ = true;
    ConnectOutcome outcome;
    co_return outcome;
  }
  asio::awaitable<SendOutcome> Send(ByteView rows) override {
    taken_.Add(rows);
    co_return SendOutcome::kAccepted;
  }
  void Close() override { is_connected_ = false; }
  bool connected() const override { return is_connected_; }

 private:
  Taken& taken_;
  bool is_connected_ = false;
};

class FakeRequest : public http::Request {
 public:
  asio::awaitable<Result<size_t>> ReadBody(std::span<uint8_t> dst) override {
    const size_t size = std::min({dst.size(), piece_size, body.size() - pos_});
    if (size == 0 && is_cut) co_return Error(ErrorCode::kInvalidInput, "cannot read request body: unexpected EOF");
    std::copy_n(body.data() + pos_, size, dst.data());
    pos_ += size;
    co_return size;
  }

  std::string body;
  size_t piece_size = 1 << 20;
  bool is_cut = false;

 private:
  size_t pos_ = 0;
};

class FakeResponse : public http::Response {
 public:
  void SetStatus(int code) override { status_ = code; }
  int status() const override { return status_; }
  void SetHeader(std::string_view name, std::string_view value) override { headers.Set(name, value); }
  asio::awaitable<Status> Write(std::string_view chunk) override {
    body += chunk;
    co_return Ok();
  }
  asio::awaitable<Status> Finish() override { co_return Ok(); }
  asio::awaitable<void> Abort(std::string) override { co_return; }
  bool started() const override { return false; }

  http::Headers headers;
  std::string body;

 private:
  int status_ = 200;
};

class FixedClock : public sys::Clock {
 public:
  int64_t NowMs() const override { return 1700000000123; }
};

std::string AppendLabel(std::string_view name, std::string_view value) {
  std::string out;
  protozero::pbf_writer label(out);
  label.add_string(1, std::string(name));
  label.add_string(2, std::string(value));
  return out;
}

/// A remote write body with one sample.
std::string WriteRequestBody(const std::vector<std::pair<std::string, std::string>>& labels, double value,
                             int64_t timestamp) {
  std::string series;
  protozero::pbf_writer series_writer(series);
  for (const auto& [name, text] : labels) series_writer.add_message(1, AppendLabel(name, text));
  std::string sample;
  protozero::pbf_writer sample_writer(sample);
  sample_writer.add_double(1, value);
  sample_writer.add_int64(2, timestamp);
  series_writer.add_message(2, sample);
  std::string out;
  protozero::pbf_writer(out).add_message(1, series);
  return out;
}

std::string Snappy(const std::string& text) {
  std::string out;
  snappy::Compress(text.data(), text.size(), &out);
  return out;
}

std::string Zstd(const std::string& text) {
  ByteBuffer out;
  encoding::CompressZstd(out, AsBytes(text), 1);
  return std::string(AsText(out));
}

std::string Zlib(const std::string& text) {
  std::string out(compressBound(text.size()), '\0');
  uLongf size = out.size();
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()), text.size());
  out.resize(size);
  return out;
}

class InsertHandlerTest : public testing::Test {
 protected:
  void SetUp() override { Start(InsertOptions()); }
  void TearDown() override { StopShippers(); }

  void Start(InsertOptions options) {
    StopShippers();
    const ShipOptions ship = [] {
      ShipOptions fast;
      fast.flush_interval = milliseconds(1);
      return fast;
    }();
    samples_ = std::make_unique<Shipper>(runtime_.MakeStrand(), RowKind::kSamples, placement_, Nodes(sample_rows_), ship,
                                         ShipEvents());
    metadata_ = std::make_unique<Shipper>(runtime_.MakeStrand(), RowKind::kMetadata, placement_, Nodes(metadata_rows_),
                                          ship, ShipEvents());
    samples_->Start();
    metadata_->Start();
    InsertTargets targets;
    targets.placement = &placement_;
    targets.samples = samples_.get();
    targets.metadata = metadata_.get();
    registry_ = std::make_unique<metrics::Registry>();
    handler_.reset();
    ingester_ = std::make_unique<Ingester>(std::move(options), targets, pool_, clock_, *registry_);
    handler_ = std::make_unique<InsertHandler>(*ingester_, *registry_);
  }

  std::vector<Shipper::Node> Nodes(Taken& taken) {
    std::vector<Shipper::Node> nodes;
    for (const std::string& name : kNodes) nodes.push_back({name, std::make_unique<FakeNode>(taken)});
    return nodes;
  }

  static asio::awaitable<bool> StopBoth(Shipper* samples, Shipper* metadata) {
    co_await samples->Stop();
    co_await metadata->Stop();
    co_return true;
  }
  void StopShippers() {
    if (samples_ == nullptr) return;
    net::BlockOn(runtime_.executor(), StopBoth(samples_.get(), metadata_.get()));
    samples_.reset();
    metadata_.reset();
  }

  /// Status and body of the answer; "not ours" for paths that the handler does not know.
  std::string Ask(FakeRequest& request, std::string target) {
    const size_t mark = target.find('?');
    request.method = "POST";
    request.target = target;
    request.path = target.substr(0, mark);
    request.remote_addr = "1.2.3.4:5";
    if (mark != std::string::npos) request.query = http::ParseQuery(target.substr(mark + 1));
    response_ = FakeResponse();
    const bool is_ours = net::BlockOn(runtime_.MakeStrand(), handler_->Handle(request, response_));
    return is_ours ? std::to_string(response_.status()) + " " + response_.body : "not ours";
  }
  std::string Ask(std::string target, std::string body = "", http::Headers headers = {}) {
    FakeRequest request;
    request.body = std::move(body);
    request.headers = std::move(headers);
    return Ask(request, std::move(target));
  }

  /// The rows the nodes have got, sorted, and nothing else.
  std::vector<std::string> Rows() {
    StopShippers();
    std::vector<std::string> rows;
    const ByteBuffer taken = sample_rows_.Take();
    for (ByteView rest = taken; !rest.empty();) {
      const auto row = model::TakeMetricRow(rest);
      if (!row.ok()) return {row.error().message()};
      const auto name = model::MetricName::UnmarshalRaw(row.value().metric_name_raw);
      if (!name.ok()) return {name.error().message()};
      std::string text = fmt::format("{}:{} {}", name.value().tenant.account_id, name.value().tenant.project_id,
                                     name.value().metric_group);
      for (const model::Tag& tag : name.value().tags) text += fmt::format(" {}={}", tag.key, tag.value);
      rows.push_back(fmt::format("{} {} @{}", text, row.value().value, row.value().timestamp));
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }
  std::vector<std::string> MetadataRows() {
    StopShippers();
    std::vector<std::string> rows;
    const ByteBuffer taken = metadata_rows_.Take();
    for (ByteView rest = taken; !rest.empty();) {
      const auto row = model::TakeMetadataRow(rest);
      if (!row.ok()) return {row.error().message()};
      rows.push_back(fmt::format("{}:{} {} {} {} {}", row.value().tenant.account_id, row.value().tenant.project_id,
                                 row.value().type, row.value().name, row.value().help, row.value().unit));
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }
  uint64_t Counter(const std::string& name) { return registry_->GetCounter(name).Get(); }

  using Strings = std::vector<std::string>;
  inline static const std::vector<std::string> kNodes = {"a:8400", "b:8400", "c:8400"};
  const hash::Rendezvous placement_{kNodes, 0};
  const FixedClock clock_;
  net::Runtime runtime_{2};
  net::Pool pool_{"test", 1};
  Taken sample_rows_;
  Taken metadata_rows_;
  std::unique_ptr<metrics::Registry> registry_;
  std::unique_ptr<Shipper> samples_;
  std::unique_ptr<Shipper> metadata_;
  std::unique_ptr<Ingester> ingester_;
  std::unique_ptr<InsertHandler> handler_;
  FakeResponse response_;
};

http::Headers Header(std::string_view name, std::string_view value) {
  http::Headers headers;
  headers.Add(name, value);
  return headers;
}

const std::string kImport = "/insert/5:6/prometheus/api/v1/import/prometheus";
const std::string kWrite = "/insert/7/prometheus/api/v1/write";

TEST_F(InsertHandlerTest, TakesText) {
  EXPECT_EQ(Ask(kImport + "?extra_label=env=x&timestamp=1000", "a{b=\"c\"} 1 2000\n# HELP a text of a\n# TYPE a counter\na 2"),
            "204 ");
  EXPECT_EQ(Counter("vm_http_requests_total{path=\"/insert/{}/prometheus/api/v1/import/prometheus\", "
                    "protocol=\"prometheusimport\"}"),
            1u);
  EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"prometheus\"}"), 2u);
  EXPECT_EQ(Counter("vm_metadata_rows_inserted_total{type=\"prometheus\"}"), 1u);
  EXPECT_EQ(Counter("vm_tenant_inserted_rows_total{type=\"prometheus\",accountID=\"5\",projectID=\"6\"}"), 2u);
  EXPECT_EQ(Rows(), (Strings{"5:6 a b=c env=x 1 @2000000", "5:6 a env=x 2 @1000"}));
  EXPECT_EQ(MetadataRows(), (Strings{"5:6 1 a text of a "}));
}

TEST_F(InsertHandlerTest, SkipsBadLinesAndCountsThem) {
  EXPECT_EQ(Ask(kImport, "a 1\nbad\nb 2\n{} 3\n"), "204 ");
  EXPECT_EQ(Counter("vm_rows_invalid_total{type=\"prometheus\"}"), 2u);
  EXPECT_EQ(Rows(), (Strings{"5:6 a 1 @1700000000123", "5:6 b 2 @1700000000123"}));
}

TEST_F(InsertHandlerTest, TakesTextInAnyEncodingAndInPieces) {
  std::string text;
  for (int i = 0; i < 30'000; ++i) text += fmt::format("m{{i=\"{}\"}} {}\n", i, i);
  for (const auto& [encoding, body] : {std::pair<std::string, std::string>{"", text},
                                       {"gzip", http::Gzip(text)},
                                       {"deflate", Zlib(text)},
                                       {"zstd", Zstd(text)},
                                       {"snappy", Snappy(text)},
                                       {"identity", text}}) {
    for (const size_t piece_size : {size_t{1000}, size_t{1} << 20}) {
      Start(InsertOptions());
      FakeRequest request;
      request.body = body;
      request.piece_size = piece_size;
      if (!encoding.empty()) request.headers.Add("Content-Encoding", encoding);
      EXPECT_EQ(Ask(request, kImport), "204 ") << encoding;
      EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"prometheus\"}"), 30'000u) << encoding;
      EXPECT_EQ(Rows().size(), 30'000u) << encoding;
    }
  }
}

TEST_F(InsertHandlerTest, RefusesBrokenBodies) {
  EXPECT_EQ(Ask(kImport, "a 1", Header("Content-Encoding", "br")), "400 unsupported contentType: br\n");
  EXPECT_EQ(Ask(kImport, "no gzip", Header("Content-Encoding", "gzip")),
            "400 cannot decompress the body: corrupted gzip or zlib data\n");
  std::string packed = http::Gzip("a 1\n");
  packed.resize(packed.size() / 2);
  EXPECT_EQ(Ask(kImport, packed, Header("Content-Encoding", "gzip")),
            "400 cannot decompress the body: unexpected EOF\n");
  FakeRequest cut;
  cut.body = "a 1\nb";
  cut.is_cut = true;
  EXPECT_EQ(Ask(cut, kImport), "400 cannot read request body: unexpected EOF\n");
  EXPECT_EQ(Ask(kImport, std::string(300'000, 'x')), "400 cannot read Prometheus exposition data: too long line: more than 262144 bytes\n");
  EXPECT_EQ(Ask(kImport + "?timestamp=x", "a 1"), "400 cannot parse `timestamp=x` query arg: strconv.ParseInt: parsing \"x\": invalid syntax\n");
  EXPECT_EQ(Ask(kImport + "?extra_label=x", "a 1"),
            "400 `extra_label` query arg must have the format `name=value`; got \"x\"\n");
  EXPECT_EQ(Counter("vm_http_request_errors_total{path=\"/insert/{}/prometheus/api/v1/import/prometheus\", "
                    "protocol=\"prometheusimport\"}"),
            7u);
}

TEST_F(InsertHandlerTest, TakesRemoteWriteUnderAllItsNames) {
  const std::string body = Snappy(WriteRequestBody({{"__name__", "m"}, {"a", "b"}, {"empty", ""}}, 1.5, 1000));
  for (const char* path : {"/insert/7/prometheus/api/v1/write", "/insert/7/prometheus/api/v1/push", "/insert/7/prometheus",
                           "/insert/7/prometheus/"}) {
    Start(InsertOptions());
    EXPECT_EQ(Ask(path, body), "204 ") << path;
    EXPECT_EQ(Counter("vm_http_requests_total{path=\"/insert/{}/prometheus/\", protocol=\"promremotewrite\"}"), 1u);
    EXPECT_EQ(Rows(), (Strings{"7:0 m a=b 1.5 @1000"})) << path;
  }
  Start(InsertOptions());
  EXPECT_EQ(Ask(kWrite + "?get_vm_proto_version=1"), "200 1");
  EXPECT_EQ(Counter("vm_http_requests_total{path=\"/insert/{}/prometheus/\", protocol=\"promremotewrite\"}"), 0u);
}

TEST_F(InsertHandlerTest, TriesBothPackingsOfRemoteWrite) {
  const std::string plain = WriteRequestBody({{"__name__", "m"}}, 1, 1);
  EXPECT_EQ(Ask(kWrite, Zstd(plain), Header("Content-Encoding", "zstd")), "204 ");
  EXPECT_EQ(Ask(kWrite, Snappy(plain), Header("Content-Encoding", "zstd")), "204 ");
  EXPECT_EQ(Ask(kWrite, Zstd(plain)), "204 ");
  EXPECT_EQ(Ask(kWrite, Snappy(plain), Header("Content-Encoding", "snappy")), "204 ");
  EXPECT_EQ(Ask(kWrite, Snappy(plain), Header("Content-Encoding", "gzip")), "204 ");  // Says nothing here.
  const std::string prefix = "400 cannot read prometheus remote_write data from client in 0 seconds: ";
  EXPECT_EQ(Ask(kWrite, "garbage"),
            prefix + "cannot decompress snappy-encoded request with length 7: snappy: corrupt input\n");
  EXPECT_TRUE(Ask(kWrite, Snappy("no protobuf")).starts_with(prefix + "cannot unmarshal prompb.WriteRequest with size 11 bytes: "));
  EXPECT_EQ(Counter("vm_protoparser_unmarshal_errors_total{type=\"promremotewrite\"}"), 2u);
  EXPECT_EQ(Ask(kWrite, ""), "204 ");
  EXPECT_EQ(Ask(kWrite, Snappy(plain), Header("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")),
            "415 remote write 2.0 is not supported; use protobuf_message: prometheus.WriteRequest\n");
  EXPECT_EQ(Rows().size(), 5u);
}

TEST_F(InsertHandlerTest, KeepsTheBitsOfStalenessMarkers) {
  const double stale = std::bit_cast<double>(uint64_t{0x7ff0000000000002});
  EXPECT_EQ(Ask(kWrite, Snappy(WriteRequestBody({{"__name__", "m"}}, stale, 1))), "204 ");
  StopShippers();
  const ByteBuffer taken = sample_rows_.Take();
  ByteView rest = taken;
  const auto row = model::TakeMetricRow(rest);
  ASSERT_TRUE(row.ok());
  EXPECT_EQ(std::bit_cast<uint64_t>(row.value().value), 0x7ff0000000000002u);
}

TEST_F(InsertHandlerTest, LooksAtHeadersForTheKindOfBody) {
  const std::string plain = WriteRequestBody({{"__name__", "m"}}, 1, 1);
  EXPECT_EQ(Ask(kImport, Snappy(plain), Header("Content-Type", "application/x-protobuf")), "204 ");
  EXPECT_EQ(Ask(kImport, Snappy(plain), Header("X-Prometheus-Remote-Write-Version", "0.1.0")), "204 ");
  EXPECT_EQ(Ask(kWrite, "t 5 1\n", Header("Content-Type", "text/plain")), "204 ");
  EXPECT_EQ(Rows(), (Strings{"5:6 m 1 @1", "5:6 m 1 @1", "7:0 t 5 @1000"}));
}

TEST_F(InsertHandlerTest, LimitsTheSizeOfRemoteWrites) {
  InsertOptions options;
  options.max_insert_request_bytes = 1000;
  Start(options);
  const std::string big = WriteRequestBody({{"__name__", std::string(2000, 'm')}}, 1, 1);
  EXPECT_EQ(Ask(kWrite, std::string(1001, 'x')), "400 too big data size exceeding -maxInsertRequestSize=1000 bytes\n");
  EXPECT_TRUE(Ask(kWrite, Snappy(big)).find("too big decompressed data size exceeding -maxInsertRequestSize=1000 bytes") !=
              std::string::npos);
  EXPECT_TRUE(Ask(kWrite, Zstd(big), Header("Content-Encoding", "zstd")).starts_with("400 "));
  // A header that promises 4 GiB.
  EXPECT_TRUE(Ask(kWrite, "\xff\xff\xff\xff\x0f....").starts_with("400 "));
  EXPECT_TRUE(Rows().empty());
}

TEST_F(InsertHandlerTest, TakesTenantsFromPathsHeadersAndLabels) {
  EXPECT_EQ(Ask("/insert/prometheus/api/v1/import/prometheus", "a 1 1", Header("AccountID", "42")), "204 ");
  EXPECT_EQ(Ask("/insert/multitenant/prometheus/api/v1/import/prometheus",
                "b{vm_account_id=\"8\",vm_project_id=\"9\"} 1 1\nc{VictoriaMetrics_AccountID=\"1\"} 1 1\nd 1 1"),
            "204 ");
  EXPECT_EQ(Ask("/insert/x:1/prometheus/api/v1/import/prometheus", "a 1"),
            "400 auth error: cannot parse authToken \"x:1\": accountID must be an integer from 0 to 4294967295\n");
  EXPECT_EQ(Ask("/insert/1:2:3/prometheus/api/v1/import/prometheus", "a 1"),
            "400 auth error: cannot parse authToken \"1:2:3\": unexpected number of items in authToken \"1:2:3\"; got 3; "
            "want 1 or 2\n");
  EXPECT_EQ(Ask("/insert/0/prometheus/api/v1/import/csv?format=1:metric", "1"),
            "400 cannot parse the provided csv format: entry #1 must have the following form: "
            "<column_pos>:<column_type>:<extension>; got [\"1\" \"metric\"]\n");
  EXPECT_TRUE(Ask("/insert/1:2:3/prometheus/api/v1/import/prometheus", "a 1").starts_with("400 auth error: "));
  EXPECT_EQ(Rows(), (Strings{"0:0 d 1 @1000", "1:0 c VictoriaMetrics_AccountID=1 1 @1000", "42:0 a 1 @1000",
                             "8:9 b 1 @1000"}));
}

TEST_F(InsertHandlerTest, KnowsItsPaths) {
  EXPECT_EQ(Ask("/insert/0/nothing"), "not ours");
  EXPECT_EQ(Ask("/select/0/prometheus/api/v1/write"), "not ours");
  EXPECT_TRUE(Ask("/insert").starts_with("400 cannot parse path \"/insert\": cannot find {prefix} in "));
  EXPECT_EQ(Ask("/insert/0/prometheus/api/v1/import/prometheus/metrics/job/j/instance/i", "a 1 1"), "200 ");
  EXPECT_EQ(Ask("/insert/0/prometheus/api/v1/import/prometheus/metrics/job/j/instance", "a 1 1"),
            "400 cannot parse pushgateway-style labels from "
            "\"/insert/0/prometheus/api/v1/import/prometheus/metrics/job/j/instance\": missing value for label "
            "\"instance\"\n");
  EXPECT_EQ(Ask("/insert/0/datadog/api/v1/validate/"), "200 {\"valid\":true}");
  EXPECT_EQ(response_.headers.Get("Content-Type"), "application/json");
  EXPECT_EQ(Ask("/insert/0/datadog/intake"), "200 {}");
  EXPECT_EQ(Ask("/insert/0/newrelic"), "202 {\"status\":\"ok\"}");
  EXPECT_EQ(Ask("/insert/0/influx/health"),
            "200 {\"name\":\"influxdb\", \"message\":\"ready for queries and writes\", \"status\":\"pass\", \"checks\":[]}");
  EXPECT_EQ(Ask("/insert/0/influx/query"),
            "200 {\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"databases\",\"columns\":[\"name\"],\"values\":[["
            "\"_internal\"]]}]}]}");
  EXPECT_EQ(response_.headers.Get("X-Influxdb-Version"), "1.8.0");
  EXPECT_EQ(Rows(), (Strings{"0:0 a job=j instance=i 1 @1000"}));
}

TEST_F(InsertHandlerTest, DropsSeriesBeyondTheLimits) {
  InsertOptions options;
  options.prepare.max_labels_per_series = 2;
  options.prepare.max_label_name_bytes = 5;
  options.prepare.max_label_value_bytes = 6;
  Start(options);
  EXPECT_EQ(Ask(kImport, "ok{a=\"b\"} 1 1\nm{a=\"b\",c=\"d\"} 1\nm{longname=\"b\"} 1\nm{a=\"longvalue\"} 1\n"), "204 ");
  EXPECT_EQ(Counter("vm_rows_ignored_total{reason=\"too_many_labels\"}"), 1u);
  EXPECT_EQ(Counter("vm_rows_ignored_total{reason=\"too_long_label_name\"}"), 1u);
  EXPECT_EQ(Counter("vm_rows_ignored_total{reason=\"too_long_label_value\"}"), 1u);
  EXPECT_EQ(Rows(), (Strings{"5:6 ok a=b 1 @1000"}));
}

TEST_F(InsertHandlerTest, MakesPrometheusNamesWhenTold) {
  InsertOptions options;
  options.prepare.prometheus_naming = true;
  Start(options);
  EXPECT_EQ(Ask(kImport, "a.b{c-d=\"e.f\"} 1 1\nplain 2 1\n"), "204 ");
  EXPECT_EQ(Ask(kWrite, Snappy(WriteRequestBody({{"__name__", "r w"}, {"x.y", "z"}}, 3, 1))), "204 ");
  EXPECT_EQ(Rows(), (Strings{"5:6 a_b c_d=e.f 1 @1000", "5:6 plain 2 @1000", "7:0 r_w x_y=z 3 @1"}));
}

TEST_F(InsertHandlerTest, RelabelsEachSeries) {
  ingester_->SetRelabeling(relabel::Rules::Parse("- {action: drop, if: 'gone'}\n"
                                                 "- {action: labeldrop, regex: instance}\n"
                                                 "- {source_labels: [team], target_label: vm_account_id}\n"
                                                 "- {target_label: env, replacement: prod}\n")
                               .value());
  EXPECT_EQ(Ask("/insert/multitenant/prometheus/api/v1/import/prometheus",
                "m{team=\"4\",instance=\"x\"} 1 1\ngone{team=\"4\"} 2 1\n"),
            "204 ");
  EXPECT_EQ(Ask(kWrite, Snappy(WriteRequestBody({{"__name__", "rw"}, {"instance", "z"}}, 3, 1))), "204 ");
  EXPECT_EQ(Ask(kWrite, Snappy(WriteRequestBody({{"__name__", "gone"}, {"instance", "z"}}, 3, 1))), "204 ");
  EXPECT_EQ(Counter("vm_relabel_metrics_dropped_total"), 2u);
  EXPECT_EQ(Rows(), (Strings{"4:0 m team=4 env=prod 1 @1000", "7:0 rw env=prod 3 @1"}));
}

TEST_F(InsertHandlerTest, LabelLimitsHoldForRelabeledSeries) {
  InsertOptions options;
  options.prepare.max_label_value_bytes = 3;
  Start(options);
  ingester_->SetRelabeling(relabel::Rules::Parse("- {target_label: a, replacement: tiny, if: '{b=\"1\"}'}\n"
                                                 "- {target_label: long, replacement: ''}\n")
                               .value());
  EXPECT_EQ(Ask(kImport, "m{b=\"1\"} 1 1\nm{b=\"2\",long=\"too long\"} 2 1\n"), "204 ");
  EXPECT_EQ(Counter("vm_rows_ignored_total{reason=\"too_long_label_value\"}"), 1u);
  EXPECT_EQ(Rows(), (Strings{"5:6 m b=2 2 @1000"}));
}

TEST_F(InsertHandlerTest, NoRulesChangeNothing) {
  ingester_->SetRelabeling(relabel::Rules::Parse("[]").value());
  EXPECT_EQ(Ask(kImport, "m{__b=\"1\"} 1 1\n"), "204 ");
  EXPECT_EQ(Rows(), (Strings{"5:6 m __b=1 1 @1000"}));
}

TEST_F(InsertHandlerTest, ShipsMetadataUnlessItIsOff) {
  std::string item;
  protozero::pbf_writer writer(item);
  writer.add_uint32(1, 2);
  writer.add_string(2, "family");
  writer.add_string(4, "help");
  writer.add_string(5, "unit");
  writer.add_uint32(11, 3);
  std::string body;
  protozero::pbf_writer(body).add_message(3, item);
  EXPECT_EQ(Ask(kWrite, Snappy(body)), "204 ");
  EXPECT_EQ(Ask("/insert/multitenant/prometheus/api/v1/write", Snappy(body)), "204 ");
  EXPECT_EQ(MetadataRows(), (Strings{"3:0 2 family help unit", "7:0 2 family help unit"}));
  InsertOptions options;
  options.is_metadata_enabled = false;
  Start(options);
  EXPECT_EQ(Ask(kWrite, Snappy(body)), "204 ");
  EXPECT_TRUE(MetadataRows().empty());
}

TEST_F(InsertHandlerTest, TakesJsonLines) {
  EXPECT_EQ(Ask("/insert/1/prometheus/api/v1/import?extra_label=e=x",
                "{\"metric\":{\"__name__\":\"m\",\"a\":\"b\"},\"values\":[1,\"Inf\"],\"timestamps\":[10,20]}\nbad\n"),
            "204 ");
  EXPECT_EQ(Counter("vm_http_requests_total{path=\"/insert/{}/prometheus/api/v1/import\", protocol=\"vmimport\"}"), 1u);
  EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"vmimport\"}"), 2u);
  EXPECT_EQ(Counter("vm_rows_invalid_total{type=\"vmimport\"}"), 1u);
  EXPECT_EQ(Rows(), (Strings{"1:0 m a=b e=x 1 @10", "1:0 m a=b e=x inf @20"}));
}

TEST_F(InsertHandlerTest, TakesCsv) {
  const std::string path = "/insert/1/prometheus/api/v1/import/csv?format=";
  EXPECT_EQ(Ask(path + "1:label:host,2:metric:up,3:time:unix_s,4:metric:down", "host,up,time,down\na,1,5,\n'b,c',2,,3\nd,x,1,1\n"),
            "204 ");
  EXPECT_EQ(Counter("vm_rows_invalid_total{type=\"csvimport\"}"), 1u);
  EXPECT_EQ(Ask(path + "1:label:a", "x"), "400 cannot parse the provided csv format: missing 'metric' column in \"1:label:a\"\n");
  EXPECT_EQ(Rows(), (Strings{"1:0 down host=b,c 3 @1700000000123", "1:0 up host=a 1 @5000", "1:0 up host=b,c 2 @1700000000123"}));
}

TEST_F(InsertHandlerTest, TakesNativeBlocks) {
  ByteBuffer body;
  ASSERT_TRUE(FromHex("0000000000000000" "00000343ff126600" "0000000e" "62617201" "7801" "3c713e275c747a01"
                      "00000014" "80f0bdf8bf68" "80f0bdf8bf68" "06" "01" "00" "03" "03" "40" "00" "00", body));
  FakeRequest request;
  request.body = AsText(body);
  request.piece_size = 5;
  EXPECT_EQ(Ask(request, "/insert/1/prometheus/api/v1/import/native?extra_label=e=x"), "204 ");
  EXPECT_EQ(Ask("/insert/1/prometheus/api/v1/import/native", http::Gzip(std::string(AsText(body))),
                Header("Content-Encoding", "gzip")),
            "204 ");
  EXPECT_EQ(Ask("/insert/1/prometheus/api/v1/import/native", std::string(AsText(body)).substr(0, 30)),
            "400 cannot read metricName: unexpected EOF\n");
  EXPECT_EQ(Ask("/insert/1/prometheus/api/v1/import/native", "x"), "400 cannot read time range: unexpected EOF\n");
  EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"native\"}"), 2u);
  EXPECT_EQ(Rows(), (Strings{"1:0 bar x=<q>'\\tz 3 @1795288448000", "1:0 bar x=<q>'\\tz e=x 3 @1795288448000"}));
}

TEST_F(InsertHandlerTest, TakesInfluxLines) {
  EXPECT_EQ(Ask("/insert/1/influx/write?db=d&precision=s&extra_label=e=x", "m,t=1 a=1,b=2i 5\n,x=y c=t\n"), "204 ");
  EXPECT_EQ(response_.headers.Get("X-Influxdb-Version"), "1.8.0");
  EXPECT_EQ(Ask("/insert/1/influx/api/v2/write?db=d", "n,db=own f=3 1700000000000000000"), "204 ");
  EXPECT_EQ(Ask("/insert/1/influx/write", "ok f=1\nbad\n"),
            "400 cannot process influx line protocol data: incorrect influx line \"bad\": cannot find Whitespace I in "
            "\"bad\"\n");
  EXPECT_EQ(Counter("vm_http_request_errors_total{path=\"/insert/{}/influx/write\", protocol=\"influx\"}"), 1u);
  EXPECT_EQ(Ask("/insert/1/influx/write", "ok f=1 1\nbad\n", Header("Stream-Mode", "1")), "204 ");
  EXPECT_EQ(Counter("vm_rows_invalid_total{type=\"influx\"}"), 1u);
  EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"influx\"}"), 5u);
  EXPECT_EQ(Rows(), (Strings{"1:0 c x=y db=d e=x 1 @1700000000000", "1:0 m_a t=1 db=d e=x 1 @5000",
                             "1:0 m_b t=1 db=d e=x 2 @5000", "1:0 n_f db=own 3 @1700000000000", "1:0 ok_f 1 @1000"}));
}

TEST_F(InsertHandlerTest, NamesInfluxFieldsAsTold) {
  InsertOptions options;
  options.influx.skip_single_field = true;
  options.influx.separator = ".";
  options.influx.db_label = "bucket";
  options.influx.database_names = {"a", "b\""};
  options.influx.max_request_bytes = 100;
  Start(options);
  EXPECT_EQ(Ask("/insert/1/influx/write?db=d", "m a=1 1\nm a=1,b=2 1"), "204 ");
  EXPECT_EQ(Ask("/insert/1/influx/write", std::string(101, 'x')),
            "400 cannot process influx line protocol data: too big data size exceeding -influx.maxRequestSize=100 bytes\n");
  EXPECT_TRUE(Ask("/insert/1/influx/query").find("\"values\":[[\"a\"],[\"b\\\"\"]]") != std::string::npos);
  EXPECT_EQ(Rows(), (Strings{"1:0 m bucket=d 1 @1000", "1:0 m.a bucket=d 1 @1000", "1:0 m.b bucket=d 2 @1000"}));
  options = InsertOptions();
  options.influx.skip_measurement = true;
  Start(options);
  EXPECT_EQ(Ask("/insert/1/influx/write", "m a=1 1"), "204 ");
  EXPECT_EQ(Rows(), (Strings{"1:0 a 1 @1000"}));
}

TEST_F(InsertHandlerTest, TakesDatadogSeries) {
  EXPECT_EQ(Ask("/insert/1/datadog/api/v1/series/?extra_label=e=x",
                "{\"series\":[{\"metric\":\"a!.b\",\"host\":\"h\",\"tags\":[\"k:v\"],\"points\":[[5,1],[0,2]]}]}"),
            "202 {\"status\":\"ok\"}");
  EXPECT_EQ(response_.headers.Get("Content-Type"), "application/json");
  EXPECT_EQ(Ask("/insert/1/datadog/api/v2/series",
                Zlib("{\"series\":[{\"metric\":\"c\",\"points\":[{\"timestamp\":6,\"value\":3}],\"resources\":[{\"type\":\"host\","
                     "\"name\":\"h\"}]}]}"),
                Header("Content-Encoding", "deflate")),
            "202 {\"status\":\"ok\"}");
  EXPECT_EQ(Ask("/insert/1/datadog/api/v2/series", "{"),
            "400 cannot decode DataDog protocol data: cannot find opening '\"' for object key\n");
  EXPECT_EQ(Counter("vm_protoparser_unmarshal_errors_total{type=\"datadogv2\"}"), 1u);
  EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"datadogv1\"}"), 2u);
  EXPECT_EQ(Counter("vm_http_request_errors_total{path=\"/insert/{}/datadog/api/v2/series\", protocol=\"datadog\"}"), 1u);
  EXPECT_EQ(Rows(), (Strings{"1:0 a.b host=h k=v e=x 1 @5000", "1:0 a.b host=h k=v e=x 2 @1700000000000",
                             "1:0 c host=h 3 @6000"}));
}

/// An OpenTelemetry request with one gauge.
std::string OtlpBody() {
  std::string point, gauge, metric, scope, resource, body;
  protozero::pbf_writer(point).add_double(4, 2.5);
  protozero::pbf_writer(gauge).add_message(1, point);
  protozero::pbf_writer metric_writer(metric);
  metric_writer.add_string(1, "g");
  metric_writer.add_string(3, "s");
  metric_writer.add_message(5, gauge);
  protozero::pbf_writer(scope).add_message(2, metric);
  protozero::pbf_writer(resource).add_message(2, scope);
  protozero::pbf_writer(body).add_message(1, resource);
  return body;
}

TEST_F(InsertHandlerTest, TakesOpentelemetryRequests) {
  const std::string body = OtlpBody();
  EXPECT_EQ(Ask("/insert/1/opentelemetry/v1/metrics?extra_label=e=x", http::Gzip(body), Header("Content-Encoding", "gzip")), "200 ");
  EXPECT_EQ(Ask("/insert/1/opentelemetry/api/v1/push", "{}", Header("Content-Type", "application/json")),
            "400 json encoding isn't supported for opentelemetry format. Use protobuf encoding\n");
  EXPECT_TRUE(Ask("/insert/1/opentelemetry/v1/metrics", body.substr(0, 5))
                  .starts_with("400 cannot decode OpenTelemetry protocol data: cannot unmarshal request from 5 bytes: "));
  http::Headers firehose = Header("Content-Type", "application/json");
  firehose.Add("X-Amz-Firehose-Protocol-Version", "1.0");
  firehose.Add("X-Amz-Firehose-Request-Id", "id\"1");
  const std::string record = std::string(1, static_cast<char>(body.size())) + body;
  EXPECT_EQ(Ask("/insert/1/opentelemetry/v1/metrics", "{\"records\":[{\"data\":\"" + http::EncodeBase64(record) + "\"}]}", firehose),
            "200 {\"requestId\":\"id\\\"1\",\"timestamp\":1700000000123}");
  EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"opentelemetry\"}"), 2u);
  EXPECT_EQ(Rows(), (Strings{"1:0 g 2.5 @0", "1:0 g e=x 2.5 @0"}));
  EXPECT_EQ(MetadataRows(), (Strings{"1:0 2 g  s", "1:0 2 g  s"}));
}

TEST_F(InsertHandlerTest, TakesEveryEncodingOnEveryImportPath) {
  ByteBuffer native;
  ASSERT_TRUE(FromHex("0000000000000000" "00000343ff126600" "0000000e" "62617201" "7801" "3c713e275c747a01"
                      "00000014" "80f0bdf8bf68" "80f0bdf8bf68" "06" "01" "00" "03" "03" "40" "00" "00", native));
  const struct {
    const char* path;
    std::string body;
    const char* answer;
  } kinds[] = {
      {"prometheus/api/v1/import", R"({"metric":{"__name__":"m"},"values":[1],"timestamps":[10]})", "204 "},
      {"prometheus/api/v1/import/csv?format=1:metric:m", "5\n", "204 "},
      {"prometheus/api/v1/import/native", std::string(AsText(native)), "204 "},
      {"influx/write", "m f=1 1\n", "204 "},
      {"opentelemetry/v1/metrics", OtlpBody(), "200 "},
      {"datadog/api/v1/series", R"({"series":[{"metric":"a","points":[[5,1]]}]})", "202 {\"status\":\"ok\"}"},
      {"datadog/api/v2/series", R"({"series":[{"metric":"a","points":[{"timestamp":6,"value":3}]}]})",
       "202 {\"status\":\"ok\"}"},
      {"newrelic/infra/v2/metrics/events/bulk", R"([{"Events":[{"eventType":"S","timestamp":5,"up":1}]}])",
       "202 {\"status\":\"ok\"}"},
  };
  for (const auto& kind : kinds) {
    for (const auto& [encoding, body] : {std::pair<std::string, std::string>{"gzip", http::Gzip(kind.body)},
                                         {"deflate", Zlib(kind.body)},
                                         {"zstd", Zstd(kind.body)},
                                         {"snappy", Snappy(kind.body)},
                                         {"identity", kind.body}}) {
      Start(InsertOptions());
      EXPECT_EQ(Ask(std::string("/insert/1/") + kind.path, body, Header("Content-Encoding", encoding)), kind.answer)
          << kind.path << " " << encoding;
      EXPECT_EQ(Rows().size(), 1u) << kind.path << " " << encoding;
    }
    EXPECT_EQ(Ask(std::string("/insert/1/") + kind.path, kind.body, Header("Content-Encoding", "br")).substr(0, 3), "400")
        << kind.path;
  }
}

// curl -d sends everything as a form.
TEST_F(InsertHandlerTest, TakesFormsAsDataAndArgumentsFromTheUrlOnly) {
  const http::Headers form = Header("Content-Type", "application/x-www-form-urlencoded");
  EXPECT_EQ(Ask(kImport, "extra_label=y=z 1 1\ntimestamp 7 1\n", form), "204 ");
  EXPECT_EQ(Ask("/insert/1/prometheus/api/v1/import/csv", "format=1:metric:m", form).substr(0, 3), "400");
  EXPECT_EQ(Ask("/insert/1/influx/write", "m,db=x precision=5 1\n", form), "204 ");
  EXPECT_EQ(Rows(), (Strings{"1:0 m_precision db=x 5 @1000", "5:6 extra_label=y=z 1 @1000", "5:6 timestamp 7 @1000"}));
}

TEST_F(InsertHandlerTest, TakesNewrelicEvents) {
  EXPECT_EQ(Ask("/insert/1/newrelic/infra/v2/metrics/events/bulk",
                "[{\"Events\":[{\"eventType\":\"S\",\"timestamp\":5,\"up\":1},{\"x\":2}]}]"),
            "202 {\"status\":\"ok\"}");
  EXPECT_TRUE(Ask("/insert/1/newrelic/infra/v2/metrics/events/bulk", "{}").starts_with("400 cannot decode NewRelic data: "));
  EXPECT_EQ(Rows(), (Strings{"1:0 up eventType=S 1 @5000", "1:0 x 2 @1700000000000"}));
}

TEST_F(InsertHandlerTest, TakesDatadogSketches) {
  std::string point, sketch, body;
  protozero::pbf_writer point_writer(point);
  point_writer.add_int64(1, 5);
  point_writer.add_int64(2, 2);
  point_writer.add_double(3, 0.5);
  point_writer.add_double(4, 8);
  point_writer.add_double(6, 9);
  const std::vector<int32_t> keys = {1338, 1339};
  const std::vector<uint32_t> counts = {1, 1};
  point_writer.add_packed_sint32(7, keys.begin(), keys.end());
  point_writer.add_packed_uint32(8, counts.begin(), counts.end());
  protozero::pbf_writer sketch_writer(sketch);
  sketch_writer.add_string(1, "a-b.c");
  sketch_writer.add_string(2, "h");
  sketch_writer.add_string(4, "t:v");
  sketch_writer.add_message(7, point);
  protozero::pbf_writer(body).add_message(1, sketch);
  const std::string url = "/insert/1/datadog/api/beta/sketches";
  EXPECT_EQ(Ask(url + "/?extra_label=x=y", body), "202 ");
  EXPECT_EQ(Ask(url, body.substr(1)).substr(0, 3), "400");
  EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"datadogsketches\"}"), 9u);
  EXPECT_EQ(Counter("vm_protoparser_unmarshal_errors_total{type=\"datadogsketches\"}"), 1u);
  EXPECT_EQ(Rows(), (Strings{"1:0 a_b.c host=h quantile=0.5 t=v x=y 0.5 @5000", "1:0 a_b.c host=h quantile=0.75 t=v x=y 1.015625 @5000",
                             "1:0 a_b.c host=h quantile=0.9 t=v x=y 1.015625 @5000",
                             "1:0 a_b.c host=h quantile=0.95 t=v x=y 1.015625 @5000",
                             "1:0 a_b.c host=h quantile=0.99 t=v x=y 1.015625 @5000", "1:0 a_b.c.count host=h t=v x=y 2 @5000",
                             "1:0 a_b.c.max host=h t=v x=y 8 @5000", "1:0 a_b.c.min host=h t=v x=y 0.5 @5000",
                             "1:0 a_b.c.sum host=h t=v x=y 9 @5000"}));
}

TEST_F(InsertHandlerTest, TakesZabbixHistory) {
  InsertOptions options;
  options.zabbix.groups_value = "yes";
  options.max_zabbix_line_bytes = 300;
  Start(options);
  const std::string url = "/insert/1/zabbixconnector/api/v1/history";
  const std::string item =
      R"({"host":{"host":"h","name":"n"},"groups":["g"],"item_tags":[{"tag":"a","value":"b"}],"name":"m","clock":5,"ns":7000000,)"
      R"("value":1.5,"type":0})";
  EXPECT_EQ(Ask(url + "?extra_label=x=y", item + "\n{}\n"), "200 ");
  EXPECT_EQ(Ask(url, Snappy(item), Header("Content-Encoding", "snappy")), "200 ");
  EXPECT_EQ(Counter("vm_rows_invalid_total{type=\"zabbixconnector\"}"), 1u);
  EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"zabbixconnector\"}"), 2u);
  EXPECT_EQ(Ask(url, std::string(1000, ' ')), R"(400 {"error":"cannot read zabbixconnector data: too long line: more than 300 bytes"})");
  EXPECT_EQ(response_.headers.Get("Content-Type"), "application/json");
  EXPECT_EQ(Counter("vm_http_request_errors_total{path=\"/insert/{}/zabbixconnector/api/v1/history\", "
                    "protocol=\"zabbixconnector\"}"),
            1u);
  EXPECT_EQ(Rows(), (Strings{"1:0 m host=h hostname=n group_g=yes tag_a=b 1.5 @5007",
                             "1:0 m host=h hostname=n group_g=yes tag_a=b x=y 1.5 @5007"}));
}

TEST_F(InsertHandlerTest, TakesRowsOfAnotherInsertNode) {
  ASSERT_EQ(Ask("/insert/3:4/prometheus/api/v1/import/prometheus", "a{b=\"c\"} 1 1\na{b=\"c\"} 2 2\nd 3 3\n# TYPE a gauge\n"),
            "204 ");
  StopShippers();
  const ByteBuffer rows = sample_rows_.Take();
  const ByteBuffer metadata = metadata_rows_.Take();
  Start(InsertOptions());
  const IngestContext context = ingester_->MakeContext(std::nullopt);
  const auto insert = [&](std::function<Steps(IngestOutput&)> parse) {
    IngestOutput output;
    return net::BlockOn(runtime_.MakeStrand(),
                        ingester_->InsertRows(BodyKind::kClusterNative, "test", std::move(parse), output));
  };
  EXPECT_TRUE(insert([&](IngestOutput& output) { return IngestMetricRows(rows, context, output); }).ok());
  EXPECT_TRUE(insert([&](IngestOutput& output) { return IngestMetadataRows(metadata, context, output); }).ok());
  EXPECT_FALSE(insert([&](IngestOutput& output) { return IngestMetricRows(ByteView(rows).first(rows.size() - 1), context, output); }).ok());
  EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"clusternative\"}"), 3u);
  EXPECT_EQ(Rows(), (Strings{"3:4 a b=c 1 @1000", "3:4 a b=c 2 @2000", "3:4 d 3 @3000"}));
  EXPECT_EQ(MetadataRows(), (Strings{"3:4 2 a  "}));
}

/// One series with many long labels and samples at 0, 1, 2, ...
std::string LongSeries(size_t labels_count, size_t label_size, int64_t samples_count) {
  std::string series;
  protozero::pbf_writer writer(series);
  for (size_t i = 0; i < labels_count; ++i) {
    writer.add_message(1, AppendLabel("label" + std::to_string(i), std::string(label_size, static_cast<char>('a' + i % 26))));
  }
  for (int64_t i = 0; i < samples_count; ++i) {
    std::string sample;
    protozero::pbf_writer sample_writer(sample);
    sample_writer.add_double(1, 1);
    sample_writer.add_int64(2, i);
    writer.add_message(2, sample);
  }
  std::string out;
  protozero::pbf_writer(out).add_message(1, series);
  return out;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/// Of this process since the last call with `resets`, in bytes.
size_t PeakMemory(bool resets) {
  if (resets) std::ofstream("/proc/self/clear_refs") << 5;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6)) << 10;
  }
  return 0;
}

// 190 KB that become 480 MB of rows.
TEST_F(InsertHandlerTest, RowsOfOneBodyNeedLittleMemory) {
  sample_rows_.OnlyCount();
  const std::string body = Snappy(LongSeries(30, 4000, 4000));
  const size_t before = PeakMemory(true);
  EXPECT_EQ(Ask(kWrite, body), "204 ");
  EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"promremotewrite\"}"), 4000u);
  StopShippers();
  EXPECT_LT(PeakMemory(false) - before, size_t{150} << 20);
  EXPECT_GT(sample_rows_.bytes(), 4000u * 30 * 4000);
}
#endif

// Clients drop for good what is answered with 400.
TEST_F(InsertHandlerTest, WantOfMemoryIsNoFaultOfTheBody) {
  // Beyond the limit on labels, so that they are read into a table, which grows to 1024 of them.
  std::vector<std::pair<std::string, std::string>> labels;
  for (int i = 0; i < 1000; ++i) labels.emplace_back("name" + std::to_string(i), "value");
  const std::string body = Snappy(WriteRequestBody(labels, 1, 5));
  refused_size = 1024 * sizeof(model::LabelView);
  const std::string answer = Ask(kWrite, body);
  refused_size = 0;
  EXPECT_EQ(answer, "503 cannot read prometheus remote_write data from client in 0 seconds: out of memory\n");
  EXPECT_EQ(Ask(kWrite, body), "204 ");  // The series is dropped.
}

// A series without samples is no row of anybody.
TEST_F(InsertHandlerTest, SeriesWithoutSamplesCountForNoTenant) {
  std::string series;
  protozero::pbf_writer(series).add_message(1, AppendLabel("a", "b"));
  std::string body;
  protozero::pbf_writer(body).add_message(1, series);
  EXPECT_EQ(Ask(kWrite, Snappy(body)), "204 ");
  EXPECT_EQ(Ask("/insert/7/datadog/api/v1/series", R"({"series":[{"metric":"a","points":[]}]})"), "202 {\"status\":\"ok\"}");
  std::string page;
  registry_->Write(page);
  EXPECT_EQ(page.find("vm_tenant_inserted_rows_total"), std::string::npos);
}

// As in the reference: what was sent before a broken part has been taken, and the client learns of the error.
TEST_F(InsertHandlerTest, ABodyThatBreaksLateIsAnErrorAndHalfTaken) {
  InsertOptions options;
  options.max_turn_bytes = 100;
  Start(options);
  const std::string good = WriteRequestBody({{"__name__", "m"}, {"a", std::string(100, 'b')}}, 1, 5);
  EXPECT_TRUE(Ask(kWrite, Snappy(good + "\x0a\x05x")).starts_with("400 cannot read prometheus remote_write data"));
  EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"promremotewrite\"}"), 1u);
  EXPECT_EQ(Counter("vm_protoparser_unmarshal_errors_total{type=\"promremotewrite\"}"), 1u);
  EXPECT_EQ(Rows().size(), 1u);
  Start(InsertOptions());
  EXPECT_TRUE(Ask(kWrite, Snappy(good + "\x0a\x05x")).starts_with("400 "));
  EXPECT_EQ(Counter("vm_rows_inserted_total{type=\"promremotewrite\"}"), 0u);
  EXPECT_EQ(Rows(), Strings{});
}

/// A request whose body never comes while it holds its slot.
class StuckRequest : public FakeRequest {
 public:
  asio::awaitable<Result<size_t>> ReadBody(std::span<uint8_t> dst) override {
    if (!std::exchange(has_begun_, true)) {
      dst[0] = 'x';
      co_return size_t{1};
    }
    while (!is_released) co_await net::SleepFor(milliseconds(1));
    co_return size_t{0};
  }
  std::atomic<bool> is_released{false};

 private:
  bool has_begun_ = false;
};

TEST_F(InsertHandlerTest, AnswersWith503WhenNoSlotGetsFree) {
  InsertOptions options;
  options.max_concurrent_inserts = 1;
  options.max_queue_duration = milliseconds(20);
  Start(options);
  StuckRequest stuck;
  std::string stuck_answer;
  stuck.method = "POST";
  stuck.path = kWrite;
  FakeResponse stuck_response;
  net::TaskGroup tasks("test");
  const auto run = [](InsertHandler& handler, http::Request& request, http::Response& response) -> asio::awaitable<void> {
    co_await handler.Handle(request, response);
  };
  tasks.Spawn(runtime_.MakeStrand(), run(*handler_, stuck, stuck_response));
  while (registry_->GetGauge("vm_concurrent_insert_current").Get() < 1) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(Ask(kWrite, "x"),
            "503 cannot process insert request for 0.020 seconds because 1 concurrent insert requests are executed. Possible "
            "solutions: to reduce workload; to increase compute resources at the server; to increase "
            "-insert.maxQueueDuration; to increase -maxConcurrentInserts\n");
  EXPECT_EQ(Counter("vm_concurrent_insert_limit_reached_total"), 1u);
  EXPECT_EQ(Counter("vm_concurrent_insert_limit_timeout_total"), 1u);
  stuck.is_released = true;
  tasks.Wait();
  EXPECT_EQ(stuck_response.status(), 400);
  EXPECT_EQ(registry_->GetGauge("vm_concurrent_insert_current").Get(), 0);
}

TEST_F(InsertHandlerTest, AnswersWith503DuringShutdown) {
  net::BlockOn(runtime_.executor(), StopBoth(samples_.get(), metadata_.get()));
  EXPECT_TRUE(Ask(kImport, "a 1").starts_with("503 cannot send rows to storage node \""));
  samples_.reset();
  metadata_.reset();
}

}  // namespace
}  // namespace vm::insert
