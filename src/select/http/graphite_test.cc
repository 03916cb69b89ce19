#include "select/http/graphite.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "lib/http/args.h"
#include "select/fanout/fake_node.h"
#include "select/fanout/test_blocks.h"
#include "select/http/api.h"
#include "select/promql/rollup_cache.h"

namespace vm::select {
namespace {

using net::asio::awaitable;
using Filters = std::vector<std::vector<model::TagFilter>>;

class BodilessRequest : public http::Request {
 public:
  awaitable<Result<size_t>> ReadBody(std::span<uint8_t>) override { co_return size_t{0}; }
  std::stop_token ClientGone() override { return {}; }
};

class KeptResponse : public http::Response {
 public:
  void SetStatus(int code) override { status_ = code; }
  int status() const override { return status_; }
  void SetHeader(std::string_view name, std::string_view value) override { headers.Set(name, value); }
  void EnableCors() override { has_cors = true; }
  awaitable<Status> Write(std::string_view chunk) override {
    body += chunk;
    co_return Ok();
  }
  awaitable<Status> Finish() override { co_return Ok(); }
  awaitable<void> Abort(std::string) override { co_return; }
  bool started() const override { return false; }

  http::Headers headers;
  std::string body;
  bool has_cors = false;

 private:
  int status_ = 200;
};

constexpr int64_t kTime = 1795288387;

/// A vmselect in front of one node with a few series.
class GraphiteTest : public testing::Test {
 protected:
  GraphiteTest() : runtime_(2), pool_("search", 2) {
    for (const char* name : {"a.b.c", "a.b.d", "a.e", "a.b", "x.bc.y", "x.bd.y"}) names_.push_back(name);
    node_ = std::make_unique<FakeNode>(runtime_, [this](const rpc::SelectArgs& args) { return Reply(args); });
  }

  rpc::SelectReply Reply(const rpc::SelectArgs& args) {
    rpc::SelectReply reply;
    std::lock_guard lock(mutex_);
    asked_.push_back(args);
    if (const auto* suffixes = std::get_if<rpc::TagValueSuffixesRequest>(&args)) {
      std::set<std::string> found;
      for (const std::string& name : names_) {
        if (!name.starts_with(suffixes->tag_value_prefix)) continue;
        const std::string rest = name.substr(suffixes->tag_value_prefix.size());
        const size_t end = rest.find(suffixes->delimiter);
        found.insert(end == std::string::npos ? rest : rest.substr(0, end + 1));
      }
      for (const std::string& suffix : found) reply.AddItem(AsBytes(suffix));
    } else if (std::holds_alternative<rpc::SearchMetricNamesRequest>(args)) {
      reply.AddItem(MarshalledName("m", {{"a", "1"}, {"job", "x"}}));
      reply.AddItem(MarshalledName("m", {{"a", "12"}}));
      reply.AddItem(MarshalledName("l", {}));
    } else if (const auto* search = std::get_if<rpc::SearchRequest>(&args)) {
      const std::string& path = search->query.tag_filter_groups.at(0).at(0).value;
      if (path == "nothing") return reply;
      for (const char* name : {"g.a", "g.b"}) {
        reply.AddItem(MarshalledBlock(MarshalledName(name, {{"job", "j"}}), {kTime * 1000, kTime * 1000 + 11'000}, {1, 4}));
      }
    } else if (std::holds_alternative<rpc::LabelNamesRequest>(args)) {
      for (const auto* name : {"job", "__name__", "zone"}) reply.AddItem(AsBytes(name));
    } else if (std::holds_alternative<rpc::LabelValuesRequest>(args)) {
      for (const auto* value : {"b.c", "b", "a"}) reply.AddItem(AsBytes(value));
    } else if (std::holds_alternative<rpc::DeleteSeriesRequest>(args)) {
      reply.number = deleted_;
    }
    return reply;
  }

  KeptResponse Ask(const std::string& rest, const char* method = "GET") {
    if (api_ == nullptr) {
      std::vector<std::string> addrs = {node_->addr()};
      addrs.insert(addrs.end(), missing_.begin(), missing_.end());
      fanout_ = std::make_unique<Fanout>(runtime_, rpc::NodeSet::Parse(addrs, 8401).value(), FanoutOptions());
      api_ = std::make_unique<Api>(runtime_, pool_, *fanout_, rollup_cache_, options_, registry_, memory_);
    }
    BodilessRequest request;
    request.method = method;
    request.target = "/select/3:4/graphite/" + rest;
    request.path = request.target.substr(0, request.target.find('?'));
    if (request.path.size() < request.target.size()) request.raw_query = request.target.substr(request.path.size() + 1);
    request.query = http::ParseQuery(request.raw_query);
    KeptResponse response;
    EXPECT_TRUE(net::BlockOn(runtime_.MakeStrand(), api_->Handle(request, response))) << rest;
    return response;
  }
  std::string Get(const std::string& rest) {
    const KeptResponse response = Ask(rest);
    return (response.status() == 200 ? "" : std::to_string(response.status()) + " ") + response.body;
  }
  template <class T>
  T LastAsked() {
    std::lock_guard lock(mutex_);
    return asked_.empty() || !std::holds_alternative<T>(asked_.back()) ? T() : std::get<T>(asked_.back());
  }

  metrics::Registry registry_;  // Outlives the connections.
  net::Runtime runtime_;
  net::Pool pool_;
  std::mutex mutex_;
  std::vector<std::string> names_;
  std::vector<rpc::SelectArgs> asked_;
  uint64_t deleted_ = 1;
  std::unique_ptr<FakeNode> node_;
  std::vector<std::string> missing_;
  ApiOptions options_;
  Budget memory_{"-memory.allowedBytes", 1 << 30};
  std::unique_ptr<Fanout> fanout_;
  RollupCache rollup_cache_{RollupCacheOptions()};
  std::unique_ptr<Api> api_;
};

std::string Node(const std::string& id, const std::string& text) {
  return R"({"id":")" + id + R"(","text":")" + text + R"(","allowChildren":1,"expandable":1,"leaf":0})";
}
std::string Leaf(const std::string& id, const std::string& text) {
  return R"({"id":")" + id + R"(","text":")" + text + R"(","allowChildren":0,"expandable":0,"leaf":1})";
}

TEST_F(GraphiteTest, FindsPaths) {
  EXPECT_EQ(Get("metrics/find?query=*"), "[" + Node("a.", "a") + "," + Node("x.", "x") + "]");
  EXPECT_EQ(Get("metrics/find/?query=a.*"), "[" + Node("a.b", "b") + "," + Leaf("a.e", "e") + "]");
  EXPECT_EQ(Get("metrics/find?query=a.*&wildcards=1"), "[" + Node("a.b", "b") + "," + Leaf("a.e", "e") + R"(,{"id":"a.*","text": "*","allowChildren":1,"expandable":1,"leaf":0}])");
  EXPECT_EQ(Get("metrics/find?query=a.*&leavesOnly=1"), "[" + Leaf("a.b", "b") + "," + Leaf("a.e", "e") + "]");
  EXPECT_EQ(Get("metrics/find?query=a.b."), "[" + Node("a.b.", "b") + "]");
  EXPECT_EQ(Get("metrics/find?query=a.e"), "[" + Leaf("a.e", "e") + "]");
  EXPECT_EQ(Get("metrics/find?query=nothing"), "[]");
  // Only the last part is replaced.
  EXPECT_EQ(Get("metrics/find?query=x.b*.*"), "[" + Leaf("x.b*.y", "y") + "]");
  EXPECT_EQ(Get("metrics/find?query=x.%7Bbc,q%7D.y"), "[" + Leaf("x.{bc,q}.y", "y") + "]");
  EXPECT_EQ(Get("metrics/find?query=x.bc,q.y&automatic_variants=1"), "[" + Leaf("x.{bc,q}.y", "y") + "]");
  EXPECT_EQ(Get("metrics/find?query=a.[b-e]"), "[" + Node("a.b", "b") + "," + Leaf("a.e", "e") + "]");
}

TEST_F(GraphiteTest, CompletesPaths) {
  const KeptResponse response = Ask("metrics/find?query=a.&format=completer&jsonp=f");
  EXPECT_EQ(response.body,
            R"(f({"metrics":[{"path":"a.b.","name":"b","is_leaf":0},{"path":"a.b","name":"b","is_leaf":1},{"path":"a.e","name":"e","is_leaf":1}]}))");
  EXPECT_EQ(response.headers.Get("Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_TRUE(response.has_cors);
  EXPECT_EQ(Get("metrics/find?query=x..&format=completer"),
            R"({"metrics":[{"path":"x.bc.","name":"bc","is_leaf":0},{"path":"x.bd.","name":"bd","is_leaf":0}]})");
}

TEST_F(GraphiteTest, AsksNodesForWhatTheRequestSays) {
  options_.max_tag_value_suffixes = 77;
  Get("metrics/find?query=a/&label=dc&delimiter=/&from=5&until=9");
  const auto asked = LastAsked<rpc::TagValueSuffixesRequest>();
  EXPECT_EQ(asked.tenant, (model::Tenant{3, 4}));
  EXPECT_EQ(asked.tag_key, "dc");
  EXPECT_EQ(asked.tag_value_prefix, "a/");
  EXPECT_EQ(asked.delimiter, '/');
  EXPECT_EQ(asked.max_suffixes, 77u);
  EXPECT_EQ(asked.time_range, (model::TimeRange{5000, 9000}));
  Get("metrics/find?query=a&label=__name__");
  EXPECT_EQ(LastAsked<rpc::TagValueSuffixesRequest>().tag_key, "");
}

TEST_F(GraphiteTest, ExpandsPaths) {
  EXPECT_EQ(Get("metrics/expand?query=x.b*.*"), R"(["x.bc.y","x.bd.y"])");
  EXPECT_EQ(Get("metrics/expand?query=x.b*.*&query=x.bc.y&query=a"), R"(["a.","x.bc.y","x.bd.y"])");
  EXPECT_EQ(Get("metrics/expand/?query=a.*&query=x.bc.*&groupByExpr=1&leavesOnly=1"),
            R"({"results":{"a.*":["a.b","a.e"],"x.bc.*":["x.bc.y"]}})");
  EXPECT_EQ(Get("metrics/index.json?jsonp=g"), R"(g(["a","b","b.c"]))");
  EXPECT_EQ(LastAsked<rpc::LabelValuesRequest>().label_name, "__name__");
}

TEST_F(GraphiteTest, ListsTags) {
  EXPECT_EQ(Get("tags"), R"([{"tag":"job"},{"tag":"name"},{"tag":"zone"}])");
  EXPECT_EQ(Get("tags?filter=n|j&limit=1"), R"([{"tag":"job"}])");
  EXPECT_EQ(Get("tags/zone?filter=b"), R"({"tag":"zone","values":[{"count":1,"value":"b"},{"count":1,"value":"b.c"}]})");
  EXPECT_EQ(LastAsked<rpc::LabelValuesRequest>().label_name, "zone");
  EXPECT_EQ(Get("tags/name?limit=1"), R"({"tag":"name","values":[{"count":1,"value":"a"}]})");
  EXPECT_EQ(LastAsked<rpc::LabelValuesRequest>().label_name, "");
  options_.max_graphite_tag_keys = 2;
  api_ = nullptr;
  EXPECT_EQ(Get("tags"), R"([{"tag":"job"},{"tag":"name"}])");
  missing_ = {"127.0.0.1:1"};
  api_ = nullptr;
  EXPECT_EQ(Get("tags/zone?limit=1"), R"({"tag":"zone","is_partial":true,"values":[{"count":1,"value":"a"}]})");
  EXPECT_TRUE(Get("tags/zone?deny_partial_response=1").starts_with("503 "));
}

TEST_F(GraphiteTest, FindsSeries) {
  EXPECT_EQ(Get("tags/findSeries?expr=name=m&expr=job!=~y&extra_label=dc=q"), R"(["l","m;a=12","m;a=1;job=x"])");
  const auto asked = LastAsked<rpc::SearchMetricNamesRequest>().query;
  EXPECT_EQ(asked.tag_filter_groups, (Filters{{{"", "m", false, false}, {"job", "^(?:y).*", true, true}, {"dc", "q", false, false}}}));
  EXPECT_EQ(asked.time_range.min_timestamp, 0);
  EXPECT_EQ(asked.max_metrics, 300000u);
  EXPECT_EQ(Get("tags/findSeries?expr=name=m&limit=1"), R"(["l"])");
  EXPECT_EQ(Get("tags/findSeries"), "400 expecting at least one `expr` query arg\n");
  EXPECT_EQ(Get("tags/findSeries?expr=m"), "400 cannot parse `expr` query arg: missing tag value in filter expression \"m\"\n");
}

TEST_F(GraphiteTest, CompletesTags) {
  EXPECT_EQ(Get("tags/autoComplete/tags?tagPrefix=na"), R"(["name"])");
  EXPECT_EQ(Get("tags/autoComplete/tags?limit=1"), R"(["job","name","zone"])");  // As in the reference: no limit here.
  EXPECT_EQ(Get("tags/autoComplete/tags?expr=name=m"), R"(["a","job","name"])");
  EXPECT_EQ(Get("tags/autoComplete/tags?expr=name=m&tagPrefix=j&jsonp=f"), R"(f(["job"]))");
  EXPECT_EQ(Get("tags/autoComplete/values?tag=zone&valuePrefix=b."), R"(["b.c"])");
  EXPECT_EQ(Get("tags/autoComplete/values?tag=a&expr=name=m"), R"(["1","12"])");
  EXPECT_EQ(Get("tags/autoComplete/values?tag=a&expr=name=m&limit=1"), R"(["1"])");
  EXPECT_EQ(Get("tags/autoComplete/values?tag=name&extra_label=x=y&valuePrefix=l"), R"(["l"])");
  EXPECT_EQ(Get("tags/autoComplete/values"), "400 missing `tag` query arg\n");
}

TEST_F(GraphiteTest, DeletesSeriesByPostOnly) {
  EXPECT_EQ(Get("tags/delSeries?path=m"), "405 Only POST method is allowed. Got GET.\n");
  EXPECT_EQ(Ask("tags/delSeries?path=m;a=b&path=n", "POST").body, "true");
  EXPECT_EQ(LastAsked<rpc::DeleteSeriesRequest>().query.tag_filter_groups, (Filters{{{"", "n", false, false}}}));
  deleted_ = 0;
  EXPECT_EQ(Ask("tags/delSeries?path=m%3Ba=b", "POST").body, "false");
  EXPECT_EQ(LastAsked<rpc::DeleteSeriesRequest>().query.tag_filter_groups, (Filters{{{"", "m", false, false}, {"a", "b", false, false}}}));
  EXPECT_EQ(Ask("tags/delSeries?path=", "POST").status(), 400);
}

TEST_F(GraphiteTest, RendersTargets) {
  // 1795288390 is the first step after kTime.
  const std::string range = "&from=1795288381&until=1795288409";
  const KeptResponse response = Ask("render?format=json&target=sumSeries(g.*)&target=nothing&extra_label=x=y" + range);
  EXPECT_EQ(response.body, R"~([{"target":"sumSeries(g.*)","tags":{"aggregatedBy": "sum","job": "j","name": "sumSeries(g.*)"},)~"
                           R"("datapoints":[[8,1795288390],[8,1795288400]]}])");  // It may have come early.
  EXPECT_EQ(response.headers.Get("Content-Type"), "application/json");
  EXPECT_FALSE(response.has_cors);
  const auto asked = LastAsked<rpc::SearchRequest>().query;
  EXPECT_EQ(asked.tenant, (model::Tenant{3, 4}));
  EXPECT_EQ(asked.tag_filter_groups, (Filters{{{"__graphite__", "nothing", false, false}, {"x", "y", false, false}}}));
  EXPECT_EQ(asked.time_range, (model::TimeRange{1795288390000, 1795288410000}));
  EXPECT_EQ(asked.max_metrics, 300000u);
  EXPECT_EQ(Get("render?format=json&target=nothing" + range), "[]");
  EXPECT_EQ(Get("render?format=json&jsonp=f" + range), "f([])");
  // What a query finds makes another one.
  EXPECT_EQ(Get("render?format=json&storage_step=20s&maxDataPoints=5&target=applyByNode(g.*,0,'alias(%25.x,%22n%22)')|limit(1)"
                "&from=1795288361&until=1795288399"),
            R"([{"target":"n","tags":{"job": "j","name": "g.a"},"datapoints":[[2.5,1795288380]]}])");
  EXPECT_EQ(memory_.used_bytes(), 0);
}

TEST_F(GraphiteTest, RefusesBadRenderRequests) {
  const std::string at = "400 error in \"/select/3:4/graphite/render\": ";
  EXPECT_EQ(Get("render?target=a"), at + "unsupported format=\"\"; supported values: json\n");
  EXPECT_EQ(Get("render?format=json&target=a&from=x"), at + "cannot parse from=\"x\": unsupported time \"x\"\n");
  EXPECT_EQ(Get("render?format=json&target=a&from=90&until=5"), at + "from=90 cannot exceed until=5\n");
  EXPECT_EQ(Get("render?format=json&target=a&storage_step=-1s"), at + "storage_step cannot be negative; got -1s\n");
  EXPECT_EQ(Get("render?format=json&target=a&maxDataPoints=-1"), at + "maxDataPoints must be greater than 0; got -1.000000\n");
  EXPECT_EQ(Get("render?format=json&target=a&xFilesFactor=x"), at + "cannot parse xFilesFactor=\"x\"\n");
  EXPECT_EQ(Get("render?format=json&target=reduceSeries(a)"), at + "cannot eval target=\"reduceSeries(a)\": unsupported function \"reduceSeries\"\n");
  options_.max_graphite_points = 5;
  options_.max_memory_per_query = 3000;
  api_ = nullptr;
  EXPECT_TRUE(Get("render?format=json&target=a&from=0&until=60").starts_with(at + "too many points per series must be returned"));
  EXPECT_NE(Get("render?format=json&target=group(g.*,g.*,g.*,g.*)&from=1795288380&until=1795288420").find("-search.maxMemoryPerQuery"), std::string::npos);
  EXPECT_EQ(memory_.used_bytes(), 0);
}

TEST_F(GraphiteTest, DescribesFunctions) {
  EXPECT_TRUE(Get("functions/scale").starts_with(R"~({"name":"scale","function":"scale(seriesList, factor)",)~"));
  EXPECT_TRUE(Get("functions?group=Alias&jsonp=f").starts_with(R"(f({"alias":{"name":"al)"));
  EXPECT_TRUE(Get("functions/?grouped=1&group=Alias").starts_with(R"({"Alias":{"alias":{")"));
  EXPECT_EQ(Get("functions/none"), "400 cannot find function \"none\"\n");
}

TEST_F(GraphiteTest, TellsWhatIsWrongWithArguments) {
  EXPECT_EQ(Get("metrics/find"), "400 expecting non-empty `query` arg\n");
  EXPECT_EQ(Get("metrics/find?query=a&format=x"), "400 unexpected \"format\" query arg: \"x\"; expecting \"treejson\" or \"completer\"\n");
  EXPECT_EQ(Get("metrics/find?query=a&delimiter=ab"), "400 `delimiter` query arg must contain only a single char\n");
  EXPECT_TRUE(Get("metrics/find?query=a&from=x").starts_with("400 cannot parse from=x"));
  EXPECT_TRUE(Get("metrics/find?query=a.[3-1]").starts_with("400 cannot convert query \"a.[3-1]\" to regexp: "));
  EXPECT_EQ(Get("metrics/expand"), "400 missing `query` arg\n");
  EXPECT_TRUE(Get("tags?limit=x").starts_with("400 cannot parse integer \"limit\"=\"x"));
  EXPECT_TRUE(Get("tags?filter=(").starts_with("400 cannot parse regexp filter=\"^(?:()\": "));
  EXPECT_TRUE(Get("tags/tagSeries").starts_with("501 "));
  EXPECT_EQ(registry_.GetCounter("vm_http_request_errors_total{path=\"/select/{}/graphite/metrics/find\"}").Get(), 5u);
}

}  // namespace
}  // namespace vm::select
