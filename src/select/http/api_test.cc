#include "select/http/api.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/http/args.h"
#include "select/fanout/fake_node.h"
#include "select/fanout/test_blocks.h"
#include "select/http/filters.h"
#include "select/promql/rollup_cache.h"

namespace vm::select {
namespace {

using namespace std::chrono_literals;
using net::asio::awaitable;
using Json = nlohmann::json;

class TestRequest : public http::Request {
 public:
  explicit TestRequest(std::string target_in, std::string body = {}) : body_(std::move(body)) {
    method = body_.empty() ? "GET" : "POST";
    if (!body_.empty()) headers.Set("Content-Type", "application/x-www-form-urlencoded");
    target = std::move(target_in);
    path = target.substr(0, target.find('?'));
    if (path.size() < target.size()) raw_query = target.substr(path.size() + 1);
    query = http::ParseQuery(raw_query);
    remote_addr = "10.0.0.1:4242";
  }
  std::stop_token ClientGone() override { return gone.get_token(); }
  awaitable<Result<size_t>> ReadBody(std::span<uint8_t> dst) override {
    const size_t n = std::min(dst.size(), body_.size());
    std::copy_n(body_.begin(), n, dst.begin());
    body_.erase(0, n);
    co_return n;
  }

  std::stop_source gone;

 private:
  std::string body_;
};

class TestResponse : public http::Response {
 public:
  void SetStatus(int code) override { status_ = code; }
  int status() const override { return status_; }
  void SetHeader(std::string_view name, std::string_view value) override { headers.Set(name, value); }
  void EnableCors() override { has_cors = true; }
  awaitable<Status> Write(std::string_view chunk) override {
    started_ = true;
    biggest_write = std::max(biggest_write, chunk.size());
    if (is_gone) co_return Error(ErrorCode::kUnavailable, "the client went away");
    body += chunk;
    co_return Ok();
  }
  awaitable<Status> Finish() override { co_return Ok(); }
  awaitable<void> Abort(std::string message) override {
    aborted = std::move(message);
    co_return;
  }
  bool started() const override { return started_; }

  http::Headers headers;
  std::string body;
  std::string aborted;
  size_t biggest_write = 0;
  bool is_gone = false;
  bool has_cors = false;

 private:
  int status_ = 200;
  bool started_ = false;
};

constexpr int64_t kTime = 1795288387;

/// A vmselect in front of one node with three series: `foo{job="a"}` (two samples), `foo{job="b"}`, `bar`.
class ApiTest : public testing::Test {
 protected:
  ApiTest() : runtime_(2), pool_("search", 2) {
    AddSeries("foo", {{"instance", "h:1"}, {"job", "a"}}, {(kTime - 60) * 1000, kTime * 1000}, {1, 2});
    AddSeries("foo", {{"instance", "h:2"}, {"job", "b"}}, {kTime * 1000}, {3});
    AddSeries("bar", {}, {kTime * 1000}, {7});
    node_ = std::make_unique<FakeNode>(runtime_, [this](const rpc::SelectArgs& args) { return Reply(args); });
    options_.version = "vmselect-test";
  }

  void AddSeries(std::string group, std::vector<model::Tag> tags, std::vector<int64_t> timestamps, std::vector<int64_t> values) {
    const ByteBuffer name = MarshalledName(std::move(group), std::move(tags));
    names_.push_back(name);
    blocks_.push_back(MarshalledBlock(name, timestamps, values));
  }

  rpc::SelectReply Reply(const rpc::SelectArgs& args) {
    rpc::SelectReply reply;
    std::lock_guard lock(mutex_);
    reply.trace = node_trace_;
    asked_.push_back(args);
    if (!node_error_.empty()) {
      reply.error = node_error_;
    } else if (std::holds_alternative<rpc::SearchRequest>(args)) {
      for (const auto& block : blocks_) reply.AddItem(block);
    } else if (std::holds_alternative<rpc::SearchMetricNamesRequest>(args)) {
      for (const auto& name : names_) reply.AddItem(name);
    } else if (std::holds_alternative<rpc::LabelNamesRequest>(args)) {
      for (const auto* name : {"job", "__name__", "instance"}) reply.AddItem(AsBytes(name));
    } else if (std::holds_alternative<rpc::LabelValuesRequest>(args)) {
      for (const auto* value : {"b", "a", "<c>'"}) reply.AddItem(AsBytes(value));
    } else if (std::holds_alternative<rpc::SeriesCountRequest>(args)) {
      reply.number = 8;
    } else if (std::holds_alternative<rpc::SearchMetadataRequest>(args)) {
      for (const auto* name : {"foo", "bar", "foo"}) {
        model::MetadataRow row;
        row.name = name;
        row.type = 1;
        row.help = std::string("about ") + name;
        ByteBuffer bytes;
        model::AppendMetadataRow(bytes, row);
        reply.AddItem(bytes);
      }
    } else if (std::holds_alternative<rpc::TenantsRequest>(args)) {
      for (const auto* tenant : {"5:7", "0:0", "5:0"}) reply.AddItem(AsBytes(tenant));
    } else if (std::holds_alternative<rpc::DeleteSeriesRequest>(args)) {
      reply.number = 2;
    } else if (std::holds_alternative<rpc::TsdbStatusRequest>(args)) {
      model::TsdbStatus status;
      status.total_series = 6;
      status.total_label_value_pairs = 11;
      status.series_count_by_metric_name = {{"baz", 1}, {"foo", 1}};
      status.series_count_by_label_name = {{"a", 2}};
      status.query_stats_by_metric_name = {{"baz", 1795288000, 4}};
      ByteBuffer bytes;
      rpc::MarshalTsdbStatus(bytes, status);
      reply.AddItem(bytes);
    } else if (std::holds_alternative<rpc::MetricNamesUsageStatsRequest>(args)) {
      model::MetricNamesUsageStats stats;
      stats.collected_since = 1795288000;
      stats.total_records = 3;
      stats.records = {{"foo", 0, 0}};
      ByteBuffer bytes;
      rpc::MarshalMetricNamesUsageStats(bytes, stats);
      reply.AddItem(bytes);
    }
    return reply;
  }

  Api& Start() {
    if (api_ == nullptr) {
      std::vector<std::string> addrs = {node_->addr()};
      addrs.insert(addrs.end(), missing_addrs_.begin(), missing_addrs_.end());
      fanout_options_.registry = &registry_;
      fanout_ = std::make_unique<Fanout>(runtime_, rpc::NodeSet::Parse(addrs, 8401).value(), fanout_options_);
      RollupCacheOptions cache_options;
      cache_options.max_bytes = 1 << 20;
      cache_options.now_ms = [] { return (kTime + 86400) * 1000; };
      cache_options.registry = &registry_;
      rollup_cache_ = std::make_unique<RollupCache>(std::move(cache_options));
      api_ = std::make_unique<Api>(runtime_, pool_, *fanout_, *rollup_cache_, options_, registry_, memory_);
    }
    return *api_;
  }

  bool Handle(TestRequest& request, TestResponse& response) {
    return net::BlockOn(runtime_.MakeStrand(), Start().Handle(request, response));
  }
  TestResponse Get(const std::string& target) {
    TestRequest request(target);
    TestResponse response;
    EXPECT_TRUE(Handle(request, response)) << target;
    return response;
  }
  TestResponse Post(const std::string& target, const std::string& form) {
    TestRequest request(target, form);
    TestResponse response;
    EXPECT_TRUE(Handle(request, response)) << target;
    return response;
  }
  static std::string Url(const std::string& rest) { return "/select/0/prometheus/api/v1/" + rest; }
  template <class T>
  T LastAsked() {
    std::lock_guard lock(mutex_);
    return asked_.empty() || !std::holds_alternative<T>(asked_.back()) ? T() : std::get<T>(asked_.back());
  }
  void ExpectError(const TestResponse& response, int status, std::string_view beginning) {
    EXPECT_EQ(response.status(), status) << response.body;
    EXPECT_EQ(response.headers.Get("Content-Type"), "application/json");
    const Json body = Json::parse(response.body, nullptr, false);
    ASSERT_FALSE(body.is_discarded()) << response.body;
    EXPECT_EQ(body["status"], "error");
    EXPECT_EQ(body["errorType"], std::to_string(status));
    EXPECT_EQ(body["error"].get<std::string>().substr(0, beginning.size()), beginning);
  }

  void ExpectPlainError(const TestResponse& response, int status, std::string_view beginning) {
    EXPECT_EQ(response.status(), status) << response.body;
    EXPECT_EQ(response.headers.Get("Content-Type"), "text/plain; charset=utf-8");
    EXPECT_EQ(response.body.substr(0, beginning.size()), beginning);
  }

  metrics::Registry registry_;  // Outlives the connections.
  net::Runtime runtime_;
  net::Pool pool_;
  std::mutex mutex_;
  std::vector<ByteBuffer> names_;
  std::vector<ByteBuffer> blocks_;
  std::vector<rpc::SelectArgs> asked_;
  std::string node_error_;
  std::string node_trace_;
  std::unique_ptr<FakeNode> node_;
  std::vector<std::string> missing_addrs_;  // Nodes that nobody serves.
  FanoutOptions fanout_options_;
  ApiOptions options_;
  Budget memory_{"-memory.allowedBytes", 1 << 30};
  std::unique_ptr<Fanout> fanout_;
  std::unique_ptr<RollupCache> rollup_cache_;
  std::unique_ptr<Api> api_;
};

// Grafana's "Save & test".
TEST_F(ApiTest, AnswersGrafanasProbe) {
  const auto get = Get(Url("query?query=1%2B1&time=4"));
  EXPECT_EQ(get.status(), 200);
  EXPECT_EQ(get.headers.Get("Content-Type"), "application/json");
  EXPECT_TRUE(get.has_cors);
  EXPECT_FALSE(Get("/select/0/prometheus/federate?match[]=foo").has_cors);
  EXPECT_EQ(get.body.substr(0, get.body.find(",\"stats\"")),
            R"({"status":"success","isPartial":false,"data":{"resultType":"vector","result":[{"metric":{},"value":[4,"2"]}]})");
  const auto post = Post(Url("query"), "query=1%2B1&time=4");
  EXPECT_EQ(post.body.substr(0, post.body.find(",\"stats\"")), get.body.substr(0, get.body.find(",\"stats\"")));
  EXPECT_EQ(Get(Url("status/buildinfo")).body, R"({"status":"success","data":{"version":"2.24.0"}})");
}

TEST_F(ApiTest, AnswersGrafanasPanels) {
  const std::string range = "query=foo&start=" + std::to_string(kTime - 30) + ".5&end=" + std::to_string(kTime) + "&step=15";
  const auto response = Post(Url("query_range"), range);
  ASSERT_EQ(response.status(), 200) << response.body;
  const Json body = Json::parse(response.body);
  EXPECT_EQ(body["data"]["resultType"], "matrix");
  ASSERT_EQ(body["data"]["result"].size(), 1u);  // The others have no sample at a point of the grid.
  EXPECT_EQ(body["data"]["result"][0]["metric"]["job"], "a");
  EXPECT_EQ(body["stats"]["seriesFetched"], "3");
  EXPECT_LT(response.body.find("resultType"), response.body.find("\"result\""));
}

TEST_F(ApiTest, AnswersGrafanasLabelCalls) {
  EXPECT_EQ(Get(Url("labels?start=1795288000&end=1795288387&limit=40000")).body,
            R"({"status":"success","isPartial":false,"data":["__name__","instance","job"]})");
  EXPECT_EQ(LastAsked<rpc::LabelNamesRequest>().max_names, 40000u);
  EXPECT_EQ(LastAsked<rpc::LabelNamesRequest>().query.time_range, (model::TimeRange{1795288000000, 1795288387000}));
  EXPECT_EQ(Get(Url("label/job/values?match[]={__name__!=\"\"}&limit=2")).body, R"({"status":"success","isPartial":false,"data":["\u003cc>\u0027","a"]})");
  EXPECT_EQ(LastAsked<rpc::LabelValuesRequest>().label_name, "job");
  Get(Url("label/U__a_2e_b/values"));
  EXPECT_EQ(LastAsked<rpc::LabelValuesRequest>().label_name, "a.b");
  EXPECT_EQ(Post(Url("labels"), "match[]=foo&start=1795288000&limit=2").body,
            R"({"status":"success","isPartial":false,"data":["__name__","instance"]})");
  EXPECT_EQ(LastAsked<rpc::LabelNamesRequest>().query.tag_filter_groups, (FilterGroups{{{"", "foo"}}}));
  EXPECT_EQ(Post(Url("series"), "match[]={__name__!=\"\"}&limit=2").body,
            R"({"status":"success","isPartial":false,"data":[{"__name__":"bar"},{"__name__":"foo","instance":"h:1","job":"a"}]})");
  ExpectError(Get(Url("series")), 400, "missing `match[]` arg");
}

TEST_F(ApiTest, AnswersGrafanasOtherCalls) {
  EXPECT_EQ(Get(Url("query_exemplars?query=foo&start=1795288387000&end=1795288387000")).body, R"({"status":"success","data":[]})");
  EXPECT_EQ(Get(Url("rules")).body, R"({"status":"success","data":{"groups":[]}})");
  EXPECT_EQ(Get(Url("alerts")).body, R"({"status":"success","data":{"alerts":[]}})");
  EXPECT_EQ(Get(Url("metadata?limit=1")).body, R"({"status":"success","isPartial":false,"data": {"bar": [{"type":"counter","help":"about bar"}]}})");
  EXPECT_EQ(Get(Url("series/count")).body, R"({"status":"success","isPartial":false,"data":[8]})");
  EXPECT_EQ(Get("/select/0/prometheus/-/healthy").body, "VictoriaMetrics is Healthy.\n");
}

// vmalert posts an empty JSON body with everything in the URL.
TEST_F(ApiTest, AnswersVmalert) {
  TestRequest request(Url("query?time=2026-11-21T19%3A13%3A07Z&step=15s&query=bar"));
  request.method = "POST";
  request.headers.Set("Content-Type", "application/json");
  TestResponse response;
  ASSERT_TRUE(Handle(request, response));
  const Json body = Json::parse(response.body);
  EXPECT_EQ(body["data"]["resultType"], "vector");
  EXPECT_TRUE(body["stats"]["seriesFetched"].is_string());
}

TEST_F(ApiTest, TellsWhatIsWrongWithArguments) {
  ExpectError(Get(Url("query")), 400, "missing `query` arg");
  ExpectError(Get(Url("query?query=foo&step=0")), 400, "step=0ms is out of allowed range [1ms ... 3153600000000ms]");
  ExpectError(Get(Url("query?query=foo&time=x")), 400, "cannot parse time=x: ");
  ExpectError(Get(Url("query?query=foo{&time=5")), 400, "error when executing query=\"foo{\" for (time=5000, step=300000): ");
  ExpectError(Get(Url("query_range?query=foo(&start=5&end=9&step=1")), 400,
              "error when executing query=\"foo(\" on the time range (start=5000, end=9000, step=1000): ");
  ExpectError(Get(Url("query?query=foo&extra_label=x")), 400, "`extra_label` query arg must have the format `name=value`; got \"x\"");
  ExpectError(Get(Url("labels?limit=x")), 400, "cannot parse integer \"limit\"=\"x\"");
  ExpectError(Get(Url("query_range?query=foo&start=0&end=100000&step=1s")), 422,
              "error when executing query=\"foo\" on the time range (start=0, end=100000000, step=1000): too many points for the given start=0, "
              "end=100000000 and step=1000: 100001; the maximum number of points is 30000; (see -search.maxPointsPerTimeseries command-line flag)");
  const auto selector = Get(Url("series?match[]={}"));
  ExpectError(selector, 400, "cannot parse matches[]={}: labelFilterss cannot be empty");
  options_.max_query_len = 3;
  api_ = nullptr;
  ExpectError(Get(Url("query?query=1234")), 400, "too long query; got 4 bytes; mustn't exceed `-search.maxQueryLen=3` bytes");
}

TEST_F(ApiTest, PlainErrorsOfExports) {
  const auto response = Get(Url("export"));
  EXPECT_EQ(response.status(), 400);
  EXPECT_EQ(response.body, "missing `match[]` arg\n");
  EXPECT_EQ(response.headers.Get("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(response.headers.Get("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(Get(Url("export/csv?match[]=foo")).body.substr(0, 21), "missing `format` arg;");
}

TEST_F(ApiTest, NodesThatRefuseAre422AndMissingOnes503) {
  node_error_ = "the number of matching timeseries exceeds 5";
  const std::string on_node = " on vmstorage " + node_->addr() + ": cannot execute funcName=";
  ExpectError(Get(Url("query?query=foo")), 422,
              "error occured during search: cannot fetch query results from vmstorage nodes: cannot perform search" + on_node + "\"search_v7\"");
  ExpectError(Get(Url("series?match[]=foo&start=1795288000&end=1795288300.5")), 422,
              "cannot fetch time series for \"accountID=0, projectID=0, filters=[{__name__=\\\"foo\\\"}], "
              "timeRange=[2026-11-21T19:06:40Z..2026-11-21T19:11:40.5Z]\": cannot fetch metric names from vmstorage nodes: "
              "cannot search metric names" + on_node + "\"searchMetricNames_v3\"");
  node_error_ = "-denyQueriesOutsideRetention is set";
  ExpectError(Get(Url("query?query=foo")), 503, "");
  node_error_ = "";
  const auto good = Get(Url("query?query=foo"));
  EXPECT_EQ(good.status(), 200);
  node_ = nullptr;
  ExpectError(Get(Url("query?query=foo")), 503, "");
  EXPECT_EQ(Get(Url("export?match[]=foo")).status(), 503);
}

TEST_F(ApiTest, AnswersArePartialWithoutANodeUnlessThatIsDenied) {
  missing_addrs_ = {"127.0.0.1:1"};
  const std::vector<std::string> targets = {Url("query?query=foo"), Url("query_range?query=foo&start=5&end=65&step=10"),
                                            Url("labels?limit=5"), Url("label/job/values?limit=5"),
                                            Url("series?match[]=foo"), Url("series/count?x=y"), Url("status/tsdb?topN=5"),
                                            Url("metadata?limit=5")};
  for (const std::string& target : targets) {
    const auto partial = Get(target);
    EXPECT_EQ(partial.status(), 200) << target << partial.body;
    EXPECT_NE(partial.body.find("\"isPartial\":true"), std::string::npos) << target << partial.body;
    ExpectError(Get(target + "&deny_partial_response=1"), 503, "");
  }
  std::string text;
  registry_.Write(text);
  for (const std::string action : {"labelNames", "labelValues", "seriesCount", "metadata", "tsdbStatus", "searchMetricNames"}) {
    EXPECT_NE(text.find("vm_partial_results_total{action=\"" + action + "\", name=\"vmselect\"} 1\n"), text.npos) << action << text;
  }
  EXPECT_NE(text.find("vm_partial_results_total{action=\"search\", name=\"vmselect\"} 2\n"), text.npos);
  EXPECT_NE(text.find("vm_partial_results_total{action=\"tagValueSuffixes\", name=\"vmselect\"} 0\n"), text.npos);
  EXPECT_NE(text.find("vm_request_duration_seconds_count{path=\"/api/v1/query\"} 2\n"), text.npos) << "errors count, too";
  options_.deny_partial_response = true;
  api_ = nullptr;
  for (const std::string& target : targets) ExpectError(Get(target), 503, "");
  // Whoever takes data away gets all of it or an error.
  options_.deny_partial_response = false;
  api_ = nullptr;
  EXPECT_EQ(Get(Url("export?match[]=foo")).status(), 503);
}

TEST_F(ApiTest, ExtraFiltersOfTheUrlWin) {
  Post(Url("series?extra_label=team=url"), "match[]=foo&extra_label=team=body&extra_filters[]={env=\"x\"}");
  EXPECT_EQ(LastAsked<rpc::SearchMetricNamesRequest>().query.tag_filter_groups,
            (FilterGroups{{{"", "foo"}, {"env", "x"}, {"team", "url"}}}));
  Post(Url("query?extra_label=team=url"), "query=foo&time=5");
  EXPECT_EQ(LastAsked<rpc::SearchRequest>().query.tag_filter_groups, (FilterGroups{{{"", "foo"}, {"team", "url"}}}));
}

TEST_F(ApiTest, TakesTenantsFromPathAndHeaders) {
  Get("/select/5:7/prometheus/api/v1/labels");
  EXPECT_EQ(LastAsked<rpc::LabelNamesRequest>().query.tenant, (model::Tenant{5, 7}));
  TestRequest request("/select/prometheus/api/v1/labels");
  request.headers.Set("AccountID", "42");
  TestResponse response;
  EXPECT_TRUE(Handle(request, response));
  EXPECT_EQ(LastAsked<rpc::LabelNamesRequest>().query.tenant, (model::Tenant{42, 0}));
  const auto bad = Get("/select/1:2:3/prometheus/api/v1/labels");
  EXPECT_EQ(bad.status(), 400);
  EXPECT_EQ(bad.body.substr(0, 44), "auth error: cannot parse authToken \"1:2:3\": ");
  EXPECT_EQ(Get("/x/0/prometheus/api/v1/labels").status(), 400);
}

// The daemon answers them with 400 "unsupported path requested".
TEST_F(ApiTest, LeavesPathsOfPrometheusThatTheReferenceDoesNotHave) {
  for (const char* path : {"read", "targets", "status/config", "status/flags", "format_query", "parse_query"}) {
    TestRequest request(Url(path));
    TestResponse response;
    EXPECT_FALSE(Handle(request, response)) << path;
    EXPECT_EQ(response.body, "") << path;
  }
}

TEST_F(ApiTest, RawSamplesOfAWindow) {
  const auto response = Get(Url("query?query=foo{job=\"a\"}[5m]&time=") + std::to_string(kTime));
  EXPECT_EQ(response.headers.Get("Content-Type"), "application/stream+json; charset=utf-8");
  const Json body = Json::parse(response.body);
  EXPECT_EQ(body["data"]["resultType"], "matrix");
  EXPECT_EQ(body["data"]["result"].size(), 3u);  // The fake node does not filter.
  EXPECT_FALSE(body.contains("isPartial"));
  EXPECT_EQ(LastAsked<rpc::SearchRequest>().query.time_range, (model::TimeRange{kTime * 1000 - 300000 + 1, kTime * 1000}));
  for (const char* query : {"foo[5m:]", "foo[5m]"}) {  // Without a step the colon says nothing.
    const auto same = Get(Url("query?query=") + query + "&time=" + std::to_string(kTime));
    EXPECT_EQ(same.body, response.body) << query;
  }
  const auto window = Get(Url("query?query=rate(foo[1m])[1h:30s]&time=") + std::to_string(kTime));
  EXPECT_EQ(Json::parse(window.body)["data"]["resultType"], "matrix");
}

TEST_F(ApiTest, WindowsWithoutEndAreRefused) {
  for (const char* query : {"(foo+1)[9223372036854775807ms:1ms]", "(foo+1)[9223372036854775807ms:1ms] offset 9223372036854775807ms",
                            "foo[9223372036854775807ms]", "foo[5m] offset -9223372036854775807ms"}) {
    const auto response = Get(Url("query?time=5&query=") + query);
    EXPECT_TRUE(response.status() == 422 || response.status() == 200 || response.status() == 400) << query << ": " << response.status();
    EXPECT_LT(response.body.size(), 10'000u) << query;
  }
  EXPECT_NE(Get(Url("query?time=5&query=(foo%2b1)[9000000000000000000ms:1ms]")).body.find("too many points"), std::string::npos);
}

TEST_F(ApiTest, RoundsAndTraces) {
  const auto response = Get(Url("query?query=1/3&time=5&round_digits=2&trace=1"));
  const Json body = Json::parse(response.body);
  EXPECT_EQ(body["data"]["result"][0]["value"][1], "0.33");
  EXPECT_EQ(body["trace"]["message"].get<std::string>().find("vmselect-test: /select/0/prometheus/api/v1/query: query=1/3"), 0u);
  EXPECT_TRUE(body["trace"]["duration_msec"].is_number());
  options_.deny_tracing = true;
  api_ = nullptr;
  EXPECT_FALSE(Json::parse(Get(Url("query?query=1&trace=1")).body).contains("trace"));
}

TEST_F(ApiTest, RecentInstantQueriesLookBackByTheLatencyOffset) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  auto response = Get(Url("query?query=time()&time=") + std::to_string(now));
  Json value = Json::parse(response.body)["data"]["result"][0]["value"];
  EXPECT_EQ(value[0], now);
  EXPECT_LE(std::stod(value[1].get<std::string>()), static_cast<double>(now) - 29);
  response = Get(Url("query?nocache=1&query=time()&time=") + std::to_string(now));
  value = Json::parse(response.body)["data"]["result"][0]["value"];
  EXPECT_EQ(value[1], std::to_string(now));
}

TEST_F(ApiTest, OffsetAndLookbackComeFromArgumentsAndFlags) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const Json value = Json::parse(Get(Url("query?query=time()&latency_offset=2s&time=") + std::to_string(now)).body)["data"]["result"][0]["value"];
  EXPECT_GE(std::stod(value[1].get<std::string>()), static_cast<double>(now) - 2);
  ExpectError(Get(Url("query?query=1&latency_offset=0")), 400, "latency_offset=0ms is out of allowed range");
  // The samples are 20 s old.
  const auto found = [&](const std::string& args) {
    const auto response = Get(Url("query?query=foo&time=") + std::to_string(kTime + 20) + args);
    EXPECT_EQ(response.status(), 200) << response.body;
    return Json::parse(response.body)["data"]["result"].size();
  };
  EXPECT_EQ(found(""), 3u);
  EXPECT_EQ(found("&max_lookback=10s"), 0u);
  EXPECT_EQ(found("&max_lookback=30s"), 3u);
  options_.max_lookback_ms = 10'000;
  api_ = nullptr;
  EXPECT_EQ(found(""), 0u);
  EXPECT_EQ(found("&max_lookback=30s"), 3u);
  options_.max_lookback_ms = 0;
  options_.set_lookback_to_step = true;
  api_ = nullptr;
  EXPECT_EQ(found("&step=10s"), 0u);
  EXPECT_EQ(found("&step=30s"), 3u);
  options_.set_lookback_to_step = false;
  options_.latency_offset_ms = 2'000;
  api_ = nullptr;
  const Json flagged = Json::parse(Get(Url("query?query=time()&time=") + std::to_string(now)).body)["data"]["result"][0]["value"];
  EXPECT_GE(std::stod(flagged[1].get<std::string>()), static_cast<double>(now) - 2);
}

TEST_F(ApiTest, ExportsEveryFormat) {
  const std::string match = "?match[]=foo&start=1&end=4102444800";
  const auto lines = Get(Url("export") + match);
  EXPECT_EQ(lines.headers.Get("Content-Type"), "application/stream+json; charset=utf-8");
  EXPECT_EQ(lines.body.substr(0, lines.body.find('\n')),
            R"({"metric":{"__name__":"foo","instance":"h:1","job":"a"},"values":[1,2],"timestamps":[1795288327000,1795288387000]})");
  const auto cut = Get(Url("export") + match + "&max_rows_per_line=1");
  EXPECT_EQ(std::count(cut.body.begin(), cut.body.end(), '\n'), 4);
  const auto text = Get(Url("export") + match + "&format=prometheus");
  EXPECT_EQ(text.body.substr(0, text.body.find('\n')), "foo{instance=\"h:1\",job=\"a\"} 1 1795288327000");
  const auto csv = Get(Url("export/csv") + match + "&format=__name__,job,__value__,__timestamp__:unix_s");
  EXPECT_EQ(csv.headers.Get("Content-Type"), "text/csv; charset=utf-8");
  EXPECT_EQ(csv.body.substr(0, 56), "__name__,job,__value__,__timestamp__:unix_s\nfoo,a,1,1795");
  const auto native = Get(Url("export/native") + match);
  EXPECT_EQ(native.headers.Get("Content-Type"), "VictoriaMetrics/native");
  EXPECT_GT(native.body.size(), 16u);
  const auto promapi = Get(Url("export") + match + "&format=promapi");
  EXPECT_EQ(Json::parse(promapi.body)["data"]["result"].size(), 3u);
  const auto federate = Get("/select/0/prometheus/federate?match[]=foo&end=" + std::to_string(kTime));
  EXPECT_EQ(federate.body.substr(0, federate.body.find('\n')), "foo{instance=\"h:1\",job=\"a\"} 2 1795288387000");
}

TEST_F(ApiTest, StreamsBigExports) {
  std::vector<int64_t> timestamps(8000), values(8000);
  for (size_t i = 0; i < timestamps.size(); ++i) {
    timestamps[i] = kTime * 1000 + static_cast<int64_t>(i);
    values[i] = static_cast<int64_t>(i);
  }
  for (int i = 0; i < 20; ++i) AddSeries("big", {{"i", std::to_string(i)}}, timestamps, values);
  const auto response = Get(Url("export?match[]=big"));
  EXPECT_GT(response.body.size(), 2u << 20);
  EXPECT_LT(response.biggest_write, 1u << 20);
  EXPECT_EQ(std::count(response.body.begin(), response.body.end(), '\n'), 23);
  TestRequest request(Url("export?match[]=big"));
  TestResponse gone;
  gone.is_gone = true;
  EXPECT_TRUE(Handle(request, gone));
}

TEST_F(ApiTest, ExportsBlocksAsTheyAreWhenMemoryIsReduced) {
  fanout_options_.dedup_interval_ms = 120'000;
  fanout_options_.max_samples_per_query = 3;
  blocks_.push_back(blocks_[0]);
  ExpectPlainError(Get(Url("export?match[]=foo")), 400, "error when exporting data on the time range");
  const std::string range = "&reduce_mem_usage=1&start=1795288327&end=1795288386";
  const std::string line = R"({"metric":{"__name__":"foo","instance":"h:1","job":"a"},"values":[1],"timestamps":[1795288327000]})";
  EXPECT_EQ(Get(Url("export?match[]=foo") + range).body, line + "\n" + line + "\n");
  EXPECT_EQ(Get(Url("export/csv?match[]=foo&format=__value__,job") + range).body, "__value__,job\n1,a\n1,a\n");
  const Json promapi = Json::parse(Get(Url("export?match[]=foo&format=promapi") + range).body);
  EXPECT_EQ(promapi["data"]["result"].size(), 2u);
  EXPECT_EQ(Get(Url("export?match[]=foo&max_rows_per_line=1&reduce_mem_usage=1")).body.substr(0, line.size()), line);
  // Native exports are always like that.
  const std::string native = Get(Url("export/native?match[]=foo")).body;
  size_t names = 0;
  for (size_t at = native.find("foo"); at != native.npos; at = native.find("foo", at + 1)) ++names;
  EXPECT_EQ(names, 3u);
}

TEST_F(ApiTest, ExportsKeepToTheMemoryOfAQuery) {
  std::vector<int64_t> timestamps(8000), values(8000);
  for (size_t i = 0; i < timestamps.size(); ++i) timestamps[i] = kTime * 1000 + static_cast<int64_t>(i);
  for (int i = 0; i < 60; ++i) AddSeries("big", {}, timestamps, values);
  options_.max_memory_per_query = 2 << 20;
  // 60 blocks of one series are 480,000 samples.
  ExpectPlainError(Get(Url("export?match[]=big")), 400, "error when exporting data on the time range");
  EXPECT_NE(Get(Url("export?match[]=big")).body.find("-search.maxMemoryPerQuery=2097152 bytes is reached"), std::string::npos);
  const auto streamed = Get(Url("export?match[]=big&reduce_mem_usage=1"));
  EXPECT_EQ(streamed.status(), 200);
  EXPECT_EQ(std::count(streamed.body.begin(), streamed.body.end(), '\n'), 63);
  EXPECT_EQ(memory_.used_bytes(), 0);
}

TEST_F(ApiTest, CountsWhatQueriesRead) {
  const std::string time = "&time=" + std::to_string(kTime);
  ASSERT_EQ(Get(Url("query?query=sum(count_over_time(foo[5m]))") + time).status(), 200);
  ASSERT_EQ(Get(Url("query?query=sum(count_over_time(foo[5m]))") + time).status(), 200);
  ASSERT_EQ(Get(Url("export?match[]=foo")).status(), 200);
  ASSERT_EQ(Get(Url("export?match[]=foo&reduce_mem_usage=1")).status(), 200);
  std::string text;
  registry_.Write(text);
  // Three series with two, one and one sample each time; blocks that stream by are no series. A count scans one sample
  // a window beside them, as the reference counts.
  for (const std::string line : {"vm_rows_read_per_series_count 9\n", "vm_rows_read_per_series_sum 12\n", "vm_rows_read_per_query_count 3\n",
                                 "vm_rows_read_per_query_sum 12\n", "vm_series_read_per_query_count 3\n", "vm_series_read_per_query_sum 9\n",
                                 "vm_rows_scanned_per_query_count 2\n", "vm_rows_scanned_per_query_sum 14\n",
                                 "vm_cache_requests_total{type=\"promql/parse\"} 2\n", "vm_cache_misses_total{type=\"promql/parse\"} 1\n",
                                 "vm_cache_entries{type=\"promql/parse\"} 1\n", "vmselect_request_duration_seconds_count 4\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST_F(ApiTest, WithoutVmalertItsPathsHaveFixedAnswers) {
  EXPECT_EQ(Get(Url("rules")).body, R"({"status":"success","data":{"groups":[]}})");
  EXPECT_EQ(Get(Url("notifiers")).body, R"({"status":"success","data":{"notifiers":[]}})");
  const auto page = Get("/select/0/prometheus/vmalert/groups");
  EXPECT_EQ(page.status(), 400);
  EXPECT_EQ(page.body.substr(0, 60), R"({"status":"error","msg":"the '-vmalert.proxyURL' command-lin)");
  const auto redirect = Get("/select/0/prometheus/vmalert");
  EXPECT_EQ(redirect.status(), 302);
  EXPECT_EQ(redirect.headers.Get("Location"), "../prometheus/vmalert/");
  EXPECT_EQ(registry_.GetCounter(R"(vm_http_requests_total{path="/select/{}/prometheus/vmalert"})").Get(), 1u);
}

TEST_F(ApiTest, AVmalertThatIsNotThereGives502) {
  options_.vmalert_proxy_url = "http://user:password@127.0.0.1:1/base";
  for (const auto* path : {"api/v1/rules", "rules", "api/v1/alerts", "alerts", "api/v1/notifiers", "notifiers", "vmalert/"}) {
    const auto response = Get(std::string("/select/0/prometheus/") + path);
    EXPECT_EQ(response.status(), 502) << path;
    EXPECT_EQ(response.body, "cannot get an answer from the server at -vmalert.proxyURL; see the log of vmselect\n");
  }
}

TEST_F(ApiTest, TimesAndWindowsBeyondAllBounds) {
  const std::string time = "&time=" + std::to_string(kTime) + "&nocache=1";
  for (const auto* at : {"1e30", "-1e30", "1e300", "Inf", "-1"}) {
    const auto response = Get(Url("query?query=foo @ ") + at + time);
    EXPECT_EQ(response.status(), 200) << at;
    EXPECT_NE(response.body.find("\"result\":[]"), std::string::npos) << response.body;
  }
  ExpectError(Get(Url("query?query=foo @ NaN") + time), 422, "`@` modifier must return a non-NaN value");
  const std::string negative = "cannot parse lookbehind window in square brackets at ";
  ExpectError(Get(Url("query?query=foo[1e30]") + time), 400, negative + "foo[1e30]: unexpected negative duration -9223372036854775808ms");
  ExpectError(Get(Url("query?query=rate(foo[1e30])") + time), 422, negative + "rate(foo[1e30]): unexpected negative duration");
  ExpectError(Get(Url("query?query=foo[5m:1e30]") + time), 400, "cannot parse step in square brackets at foo[5m:1e30]: unexpected negative");
  EXPECT_EQ(Get(Url("query?query=foo[1e15]") + time).status(), 200);
}

TEST_F(ApiTest, ArgumentsThatNodesDoNotTakeAreFaultsOfTheClient) {
  const std::string big(70'000, 'x');
  for (const auto& [path, name] : {std::pair{"status/tsdb", "focusLabel"}, {"status/metric_names_stats", "match_pattern"}, {"metadata", "metric"}}) {
    const auto response = Get(Url(std::string(path) + "?" + name + "=" + big));
    EXPECT_EQ(response.status(), 400) << path;
    EXPECT_NE(response.body.find(std::string("too long `") + name + "` arg: 70000 bytes"), std::string::npos) << response.body.substr(0, 200);
  }
  ExpectError(Get(Url("label/" + big + "/values")), 400, "too long label name: 70000 bytes; storage nodes take at most 16384");
}

TEST_F(ApiTest, NamesAreChargedToTheMemoryOfAQuery) {
  for (int i = 0; i < 1000; ++i) AddSeries("many", {{"label", std::string(200, 'x')}, {"number", std::to_string(i)}}, {kTime * 1000}, {1});
  const std::string limit = "-search.maxMemoryPerQuery=";
  const auto expect_limit = [&](const TestResponse& response, const std::string& context) {
    ExpectError(response, 422, context);
    EXPECT_NE(response.body.find(limit), std::string::npos) << response.body.substr(0, 300);
    EXPECT_EQ(memory_.used_bytes(), 0);
  };
  options_.max_memory_per_query = 800'000;
  expect_limit(Get(Url("series?match[]=many")), "cannot fetch time series for ");
  EXPECT_EQ(Get(Url("labels")).status(), 200);
  api_.reset();
  options_.max_memory_per_query = 4'000'000;
  EXPECT_EQ(Get(Url("series?match[]=many")).status(), 200);
  const std::string time = "&time=" + std::to_string(kTime) + "&nocache=1";
  EXPECT_EQ(Get(Url("query?query=many") + time).status(), 200);
  // The results of one selector fit, many of them do not; what is folded into one does.
  std::string sum = "many";
  for (int i = 0; i < 8; ++i) sum += " or label_set(many, 'x', '" + std::to_string(i) + "')";
  expect_limit(Get(Url("query?query=") + http::EscapeQuery(sum) + time), "");
  std::string count = "count(many)";
  for (int i = 0; i < 8; ++i) count += " + count(many)";
  EXPECT_EQ(Get(Url("query?query=") + http::EscapeQuery(count) + time).status(), 200);
  EXPECT_EQ(memory_.used_bytes(), 0);
}

TEST_F(ApiTest, FederationNeedsAllNodesAndTenantsHaveAPage) {
  const auto page = Get("/select/5/");
  EXPECT_EQ(page.status(), 200);
  EXPECT_EQ(page.headers.Get("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(page.body.substr(0, 80), "<h2>VictoriaMetrics cluster - vmselect</h2></br>Version vmselect-test<br>See <a ");
  EXPECT_EQ(Get("/select/multitenant/graphite/render").body, "multi-tenant queries are not supported by Graphite endpoints\n");
  api_.reset();
  missing_addrs_ = {"127.0.0.1:1"};
  ExpectPlainError(Get("/select/0/prometheus/federate?match[]=foo"), 400,
                   "cannot export federated metrics, because some of vmstorage nodes are unavailable");
  ExpectPlainError(Get("/select/0/prometheus/federate?match[]=foo&deny_partial_response=1"), 503, "cannot fetch data for \"accountID=0");
}

TEST_F(ApiTest, TracesWhatNodesDo) {
  node_trace_ = R"({"duration_msec":0.5,"message":"vmstorage"})";
  const Json trace = Json::parse(Get(Url("query?query=count(foo)&nocache=1&trace=1&time=") + std::to_string(kTime)).body)["trace"];
  const Json& eval = trace["children"][0];
  EXPECT_EQ(eval["message"], "eval: query=count(foo), timeRange=[2026-11-21T19:13:07Z..2026-11-21T19:13:07Z], step=300000: "
                             "series=1, points=1, pointsPerSeries=1");
  const Json& fetch = eval["children"][0];
  EXPECT_EQ(fetch["message"], "fetch matching series: accountID=0, projectID=0, filters=[{__name__=\"foo\"}], "
                              "timeRange=[2026-11-21T19:03:07Z..2026-11-21T19:13:07Z]");
  EXPECT_EQ(fetch["children"][0]["message"], "rpc at vmstorage " + node_->addr());
  EXPECT_EQ(fetch["children"][0]["children"][0]["message"], "rpc call search_v7()");
  EXPECT_EQ(fetch["children"][0]["children"][0]["children"][0]["message"], "vmstorage");
  const Json labels = Json::parse(Get(Url("labels?trace=1")).body)["trace"];
  EXPECT_EQ(labels["children"][0]["message"].get<std::string>().substr(0, 11), "get labels:");
  EXPECT_EQ(labels["children"][1]["message"], "generate response for 3 items");
  node_trace_ = "{broken";
  EXPECT_FALSE(Json::parse(Get(Url("labels?trace=1")).body, nullptr, false).is_discarded());
}

TEST_F(ApiTest, QueuesAndRefusesWhatIsTooMuch) {
  options_.max_concurrent_requests = 1;
  options_.max_queue_duration_ms = 30;
  node_->HoldAfter(0);
  std::thread busy([&] { Get(Url("query?query=foo")); });
  while (LastAsked<rpc::SearchRequest>().query.tag_filter_groups.empty()) std::this_thread::sleep_for(1ms);
  const auto refused = Get(Url("query?query=bar"));
  EXPECT_EQ(refused.status(), 429);
  EXPECT_EQ(refused.headers.Get("Retry-After"), "10");
  EXPECT_EQ(refused.body.substr(0, 107),
            "couldn't start executing the request in 0.030 seconds, since -search.maxConcurrentRequests=1 concurrent req");
  // What is cheap is served all the same.
  EXPECT_EQ(Get(Url("status/active_queries")).body.find(R"({"status":"ok","data":[{"duration":")"), 0u);
  EXPECT_EQ(Get("/select/3/prometheus/api/v1/status/active_queries").body, R"({"status":"ok","data":[]})");
  EXPECT_EQ(Json::parse(Get("/api/v1/status/active_queries").body)["data"].size(), 1u);
  EXPECT_EQ(Get(Url("status/buildinfo")).status(), 200);
  node_->Release();
  busy.join();
  std::string text;
  registry_.Write(text);
  EXPECT_NE(text.find("vm_concurrent_select_limit_reached_total 1\n"), text.npos);
  EXPECT_NE(text.find("vm_concurrent_select_limit_timeout_total 1\n"), text.npos);
  EXPECT_NE(text.find("vm_concurrent_select_capacity 1\n"), text.npos);
  EXPECT_NE(text.find("vm_http_requests_total{path=\"/select/{}/prometheus/api/v1/query\"} 1\n"), text.npos);
  EXPECT_NE(text.find("vm_tenant_select_requests_total{accountID=\"0\",projectID=\"0\"}"), text.npos);
}

TEST_F(ApiTest, CancelEndsWhatRunsAndWaits) {
  options_.max_concurrent_requests = 1;
  node_->HoldAfter(0);
  TestResponse running, waiting;
  std::thread first([&] { running = Get(Url("query?query=foo")); });
  while (LastAsked<rpc::SearchRequest>().query.tag_filter_groups.empty()) std::this_thread::sleep_for(1ms);
  std::thread second([&] { waiting = Get(Url("query?query=bar")); });
  const auto from = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(20ms);
  api_->Cancel();
  first.join();
  second.join();
  EXPECT_LT(std::chrono::steady_clock::now() - from, 5s);
  EXPECT_EQ(running.status(), 503);
  EXPECT_EQ(waiting.status(), 503);
}

TEST_F(ApiTest, AClientThatLeavesEndsItsQuery) {
  node_->HoldAfter(0);
  TestRequest request(Url("query?query=foo"));
  TestResponse response;
  Start();
  std::thread query([&] { Handle(request, response); });
  while (LastAsked<rpc::SearchRequest>().query.tag_filter_groups.empty()) std::this_thread::sleep_for(1ms);
  const auto from = std::chrono::steady_clock::now();
  request.gone.request_stop();
  query.join();
  EXPECT_LT(std::chrono::steady_clock::now() - from, 5s);
  std::string text;
  registry_.Write(text);
  EXPECT_NE(text.find("vm_http_request_errors_total{path=\"/select/{}/prometheus/api/v1/query\"} 0\n"), text.npos);
}

TEST_F(ApiTest, ATimeoutEndsTheQuery) {
  node_->HoldAfter(0);
  const auto from = std::chrono::steady_clock::now();
  const auto response = Get(Url("query?query=foo&timeout=100ms"));
  EXPECT_LT(std::chrono::steady_clock::now() - from, 10s);
  EXPECT_GE(response.status(), 422);
}

TEST_F(ApiTest, EachKindOfRequestHasItsTime) {
  options_.max_query_duration_ms = 7'000;
  options_.max_labels_duration_ms = 8'000;
  options_.max_status_duration_ms = 9'000;
  options_.max_export_duration_ms = 10'000;
  options_.max_delete_duration_ms = 11'000;
  const std::vector<std::pair<uint32_t, std::string>> kinds = {
      {7, Url("query?query=foo")},
      {7, Url("query_range?query=foo&start=5&end=65&step=10")},
      {7, "/select/0/prometheus/federate?match[]=foo"},
      {8, Url("labels?x=y")},
      {8, Url("label/job/values?x=y")},
      {8, Url("series?match[]=foo")},
      {9, Url("status/tsdb?x=y")},
      {9, "/admin/tenants?x=y"},
      {10, Url("export?match[]=foo")},
      {11, "/delete/0/prometheus/api/v1/admin/tsdb/delete_series?x=y"},
  };
  for (const auto& [seconds, target] : kinds) {
    Post(target, "match[]=foo");
    EXPECT_EQ(node_->last_timeout_s(), seconds) << target;
    // Clients may shorten it.
    Post(target + "&timeout=3s", "match[]=foo");
    EXPECT_EQ(node_->last_timeout_s(), 3u) << target;
    Post(target + "&timeout=1h", "match[]=foo");
    EXPECT_EQ(node_->last_timeout_s(), seconds) << target;
  }
}

TEST_F(ApiTest, NodesAreToldHowManySeriesARequestMaySelect) {
  options_.max_unique_series = 11;
  options_.max_series = 12;
  options_.max_labels_series = 13;
  options_.max_export_series = 14;
  options_.max_federate_series = 15;
  options_.max_delete_series = 16;
  options_.max_tsdb_status_series = 17;
  options_.max_tsdb_status_top_n = 18;
  Get(Url("query?query=foo"));
  EXPECT_EQ(LastAsked<rpc::SearchRequest>().query.max_metrics, 11u);
  Get(Url("series?match[]=foo"));
  EXPECT_EQ(LastAsked<rpc::SearchMetricNamesRequest>().query.max_metrics, 12u);
  Get(Url("labels"));
  EXPECT_EQ(LastAsked<rpc::LabelNamesRequest>().query.max_metrics, 13u);
  Get(Url("label/job/values"));
  EXPECT_EQ(LastAsked<rpc::LabelValuesRequest>().query.max_metrics, 13u);
  Get(Url("export?match[]=foo"));
  EXPECT_EQ(LastAsked<rpc::SearchRequest>().query.max_metrics, 14u);
  Get("/select/0/prometheus/federate?match[]=foo");
  EXPECT_EQ(LastAsked<rpc::SearchRequest>().query.max_metrics, 15u);
  Post("/delete/0/prometheus/api/v1/admin/tsdb/delete_series", "match[]=foo");
  EXPECT_EQ(LastAsked<rpc::DeleteSeriesRequest>().query.max_metrics, 16u);
  Get(Url("status/tsdb?topN=100"));
  EXPECT_EQ(LastAsked<rpc::TsdbStatusRequest>().query.max_metrics, 17u);
  EXPECT_EQ(LastAsked<rpc::TsdbStatusRequest>().top_n, 18u);
}

TEST_F(ApiTest, LimitsMemoryOfAQuery) {
  options_.max_memory_per_query = 100;
  ExpectError(Get(Url("query?query=foo")), 422, "cannot take");
}

TEST_F(ApiTest, KeepsStatisticsOfQueries) {
  options_.stats_min_duration_ms = 0;
  options_.stats_min_memory = 0;
  Get("/select/3:4/prometheus/api/v1/query?query=foo&time=5");
  Get("/select/3:4/prometheus/api/v1/query?query=foo&time=5");
  Get(Url("query_range?query=bar&start=5&end=65&step=10"));
  const Json all = Json::parse(Get("/api/v1/status/top_queries?topN=5&maxLifetime=1h").body);
  EXPECT_EQ(all["topN"], "5");
  EXPECT_EQ(all["maxLifetime"], "1h0m0s");
  ASSERT_EQ(all["topByCount"].size(), 2u);
  EXPECT_EQ(all["topByCount"][0]["accountID"], 3);
  EXPECT_EQ(all["topByCount"][0]["count"], 2);
  const Json own = Json::parse(Get(Url("status/top_queries")).body);
  ASSERT_EQ(own["topBySumDuration"].size(), 1u);
  EXPECT_EQ(own["topBySumDuration"][0]["timeRangeSeconds"], 60);
  ExpectError(Get(Url("status/top_queries?topN=x")), 400, "cannot parse `topN` arg \"x\"");
}

TEST_F(ApiTest, DeletesSeriesByPostOnly) {
  const std::string target = "/delete/3:4/prometheus/api/v1/admin/tsdb/delete_series";
  EXPECT_EQ(Get(target + "?match[]=foo").status(), 405);
  EXPECT_EQ(Get(target + "?match[]=foo").body, "Only POST method is allowed. Got GET.\n");
  const auto deleted = Post(target, "match[]=foo");
  EXPECT_EQ(deleted.status(), 204) << deleted.body;
  EXPECT_EQ(deleted.body, "");
  const auto query = LastAsked<rpc::DeleteSeriesRequest>().query;
  EXPECT_EQ(query.tenant, (model::Tenant{3, 4}));
  EXPECT_EQ(query.tag_filter_groups, (FilterGroups{{{"", "foo"}}}));
  EXPECT_EQ(Post(target, "x=1").body, "missing `match[]` arg\n");
  EXPECT_EQ(Post(target, "match[]=foo&start=5").body.substr(0, 50), "delete API does not support specific time ranges u");
  node_ = nullptr;
  EXPECT_EQ(Post(target, "match[]=foo").status(), 503);
}

TEST_F(ApiTest, ListsTenants) {
  EXPECT_EQ(Get("/admin/tenants?start=5&end=6").body, R"({"status":"success","data":["0:0","5:0","5:7"]})");
  EXPECT_EQ(LastAsked<rpc::TenantsRequest>().time_range, (model::TimeRange{5000, 6000}));
  EXPECT_EQ(Get("/admin/tenants?start=x").body.substr(0, 39), "error getting tenants: cannot parse sta");
}

TEST_F(ApiTest, ShowsWhatTheIndexHolds) {
  EXPECT_EQ(Get(Url("status/tsdb?date=2026-11-21&topN=5&focusLabel=job")).body,
            R"({"status":"success","isPartial":false,"data":{"totalSeries":6,"totalLabelValuePairs":11,"seriesCountByMetricName":)"
            R"([{"name":"baz","value":1,"requestsCount":4,"lastRequestTimestamp":1795288000},{"name":"foo","value":1}],)"
            R"("seriesCountByLabelName":[{"name":"a","value":2}],"seriesCountByFocusLabelValue":[],"seriesCountByLabelValuePair":[],)"
            R"("labelValueCountByLabelName":[]}})");
  const auto asked = LastAsked<rpc::TsdbStatusRequest>();
  EXPECT_EQ(asked.query.time_range, (model::TimeRange{1795219200000, 1795305599999}));
  EXPECT_EQ(asked.top_n, 5u);
  EXPECT_EQ(asked.focus_label, "job");
  Get(Url("status/tsdb?date=0&topN=100000"));
  EXPECT_EQ(LastAsked<rpc::TsdbStatusRequest>().query.time_range, (model::TimeRange{0, 86399999}));
  EXPECT_EQ(LastAsked<rpc::TsdbStatusRequest>().top_n, 1000u);
  ExpectError(Get(Url("status/tsdb?date=2026")), 400, "cannot parse `date` arg \"2026\"");
  ExpectError(Get(Url("status/tsdb?topN=x")), 400, "cannot parse `topN` arg \"x\"");
}

TEST_F(ApiTest, ShowsAndResetsUsage) {
  EXPECT_EQ(Get(Url("status/metric_names_stats")).body,
            R"({"status":"success","statsCollectedSince":1795288000,"statsCollectedRecordsTotal":3,"trackerMemoryMaxSizeBytes":0,)"
            R"("trackerCurrentMemoryUsageBytes":0,"records":[{"metricName":"foo","queryRequestsCount":0,"lastQueryRequestTimestamp":0}]})");
  EXPECT_EQ(LastAsked<rpc::MetricNamesUsageStatsRequest>().limit, 1000u);
  EXPECT_EQ(LastAsked<rpc::MetricNamesUsageStatsRequest>().le, -1);
  EXPECT_EQ(Get(Url("status/metric_names_stats?match_pattern=(")).status(), 400);
  EXPECT_EQ(Get("/admin/api/v1/admin/status/metric_names_stats/reset").status(), 204);
  EXPECT_EQ(Get("/internal/resetRollupResultCache").status(), 200);
}

TEST_F(ApiTest, KeepsResultsOfRangesUntilTheyMayBeWrong) {
  const int64_t start = kTime / 60 * 60 - 600;
  const std::string range = Url("query_range?query=foo&step=60&start=" + std::to_string(start) + "&end=" + std::to_string(start + 900));
  const auto count = [this] {
    std::lock_guard lock(mutex_);
    return std::count_if(asked_.begin(), asked_.end(), [](const auto& args) { return std::holds_alternative<rpc::SearchRequest>(args); });
  };
  const auto result_of = [](const TestResponse& response) { return Json::parse(response.body)["data"]["result"]; };
  const Json first = result_of(Get(range));
  EXPECT_EQ(first.size(), 3u);
  EXPECT_EQ(count(), 1);
  EXPECT_EQ(result_of(Get(range)), first);
  EXPECT_EQ(count(), 1);
  EXPECT_EQ(result_of(Get(range + "&nocache=1")), first);
  EXPECT_EQ(count(), 2);
  Get(range + "&extra_label=a=b");
  EXPECT_EQ(count(), 3);
  Get("/select/5/prometheus/api/v1/" + range.substr(Url("").size()));
  EXPECT_EQ(count(), 4);
  Get("/internal/resetRollupResultCache");
  Get(range);
  EXPECT_EQ(count(), 5);
  Post("/delete/0/prometheus/api/v1/admin/tsdb/delete_series", "match[]=foo");
  Get(range);
  EXPECT_EQ(count(), 6);
  EXPECT_EQ(Post("/select/0/graphite/tags/delSeries", "path=foo").body, "true");
  Get(range);
  EXPECT_EQ(count(), 7);
  EXPECT_EQ(registry_.GetCounter("vm_rollup_result_cache_resets_total").Get(), 3u);
}

TEST_F(ApiTest, KeepsNoResultsWithoutTheCache) {
  options_.disable_cache = true;
  const int64_t start = kTime / 60 * 60 - 600;
  for (int i = 0; i < 2; ++i) Get(Url("query_range?query=foo&step=60&start=" + std::to_string(start) + "&end=" + std::to_string(start + 900)));
  EXPECT_EQ(asked_.size(), 2u);
}

TEST_F(ApiTest, CompilesRegularExpressionsOnce) {
  for (int i = 0; i < 3; ++i) Get(Url("query?query=label_match(foo,\"job\",\"a|b\")&time=" + std::to_string(kTime)));
  std::string text;
  registry_.Write(text);
  for (const auto* line : {"vm_cache_requests_total{type=\"promql/regexp\"} 3\n", "vm_cache_misses_total{type=\"promql/regexp\"} 1\n",
                           "vm_cache_entries{type=\"promql/regexp\"} 1\n", "vm_cache_chars_max{type=\"promql/regexp\"} 1000000\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
}

TEST_F(ApiTest, ReadsManyTenantsAtOnce) {
  const std::string many = "/select/multitenant/prometheus/api/v1/";
  const auto labels = Get(many + "labels");
  EXPECT_EQ(labels.body, R"({"status":"success","isPartial":false,"data":["__name__","instance","job","vm_account_id","vm_project_id"]})");
  const auto values = Get(many + "label/vm_account_id/values?match[]={vm_project_id=\"0\"}");
  EXPECT_EQ(values.body, R"({"status":"success","isPartial":false,"data":["0","5"]})");
  Get(many + "series?match[]={vm_account_id=\"5\",vm_project_id=\"7\",job=\"a\"}");
  EXPECT_EQ(LastAsked<rpc::SearchMetricNamesRequest>().query.tenant, (model::Tenant{5, 7}));
  EXPECT_EQ(LastAsked<rpc::SearchMetricNamesRequest>().query.tag_filter_groups, (FilterGroups{{{"job", "a"}}}));
  const auto exported = Get(many + "export?match[]={vm_account_id=\"5\",vm_project_id=\"7\"}");
  EXPECT_EQ(exported.body.substr(0, exported.body.find(",\"values\"")),
            R"({"metric":{"__name__":"foo","instance":"h:1","job":"a","vm_account_id":"0","vm_project_id":"0"})");
  EXPECT_EQ(LastAsked<rpc::SearchRequest>().query.tag_filter_groups, (FilterGroups{{{"", "", true}}}));
  const Json vector = Json::parse(Get(many + "query?query=foo{vm_account_id=\"5\",vm_project_id=\"0\"}&time=" + std::to_string(kTime)).body);
  EXPECT_EQ(vector["data"]["result"].size(), 3u);
  EXPECT_EQ(vector["data"]["result"][0]["metric"]["vm_project_id"], "0");
  ExpectError(Get(many + "series/count"), 422, "multi-tenant request to /api/v1/series/count is not supported");
}

TEST_F(ApiTest, AlignsLongRanges) {
  Get(Url("query_range?query=foo&start=1003.0&end=2003.0&step=10"));
  auto range = LastAsked<rpc::SearchRequest>().query.time_range;
  EXPECT_EQ(range.max_timestamp, 2000000);
  Get(Url("query_range?query=foo&start=1003.0&end=2003.0&step=10&nocache=1"));
  range = LastAsked<rpc::SearchRequest>().query.time_range;
  EXPECT_EQ(range.max_timestamp, 2003000);
  Get(Url("query_range?query=foo&start=1003.0&end=1203.0&step=10"));
  range = LastAsked<rpc::SearchRequest>().query.time_range;
  EXPECT_EQ(range.max_timestamp, 1203000);
}

TEST_F(ApiTest, QueriesAreExpandedAndPrettified) {
  EXPECT_EQ(Get("/select/0/prometheus/expand-with-exprs?format=json&query=WITH%20(a=b)%20a%2B1").body, R"({"status": "success","expr":"b + 1"})");
  EXPECT_EQ(Get("/select/0/expand-with-exprs?format=json").body, R"({"status": "error","error": "query string cannot be empty"})");
  const Json bad = Json::parse(Get("/select/0/prometheus/expand-with-exprs?format=json&query=a%2B").body);
  EXPECT_EQ(bad["status"], "error");
  EXPECT_TRUE(bad["error"].get<std::string>().starts_with("Cannot parse query: ")) << bad;
  const auto page = Get("/select/0/prometheus/expand-with-exprs?query=%3Cscript%3E");
  EXPECT_NE(page.body.find("&lt;script&gt;"), std::string::npos) << page.body;
  EXPECT_EQ(page.body.find("<script>"), std::string::npos) << page.body;
  EXPECT_EQ(Get("/select/0/prometheus/prettify-query?query=sum(rate(temp%5B5m%5D))by(room)").body,
            R"x({"status": "success", "query": "sum(rate(temp[5m])) by(room)"})x");
  EXPECT_EQ(Json::parse(Get("/select/0/prometheus/prettify-query?query=(").body)["status"], "error");
}

}  // namespace
}  // namespace vm::select
