#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/decimal/decimal.h"
#include "lib/net/run_on.h"
#include "select/promql/aggr_incremental.h"
#include "select/promql/eval.h"
#include "select/promql/query.h"
#include "select/promql/rollup.h"
#include "select/promql/stats.h"

// The cases of ../shared/conformance, where their README says how they compare.

namespace vm::select {
namespace {

using Json = nlohmann::json;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<Json> LoadCases(const std::string& file) {
  std::ifstream in(std::string(VM_SHARED_DIR) + "/conformance/" + file);
  std::vector<Json> cases;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) cases.push_back(Json::parse(line));
  }
  return cases;
}

double ToDouble(const Json& value) {
  if (value.is_number()) return value.get<double>();
  const auto text = value.get<std::string>();
  if (text == "StaleNaN") return decimal::StaleNaN();
  if (text == "Inf") return INFINITY;
  if (text == "-Inf") return -INFINITY;
  return kNaN;
}
std::vector<double> ToDoubles(const Json& list) {
  std::vector<double> out;
  for (const auto& v : list) out.push_back(ToDouble(v));
  return out;
}
std::vector<int64_t> ToTimestamps(const Json& list) { return list.get<std::vector<int64_t>>(); }

bool IsNear(double a, double b, double relative, double absolute) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (a == b) return true;
  if (std::isinf(a) || std::isinf(b)) return false;
  return std::fabs(a - b) <= std::max(absolute, relative * std::max(std::fabs(a), std::fabs(b)));
}
bool AreNear(const std::vector<double>& a, const std::vector<double>& b, double relative, double absolute = 0) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [&](double x, double y) { return IsNear(x, y, relative, absolute); });
}

/// An empty tenant.
class EmptySource : public SeriesSource {
 public:
  boost::asio::awaitable<Result<std::unique_ptr<SeriesSet>>> Search(model::SearchQuery, Deadline) override {
    co_return MakeSeriesSet({});
  }
  boost::asio::awaitable<Result<std::vector<model::MetricName>>> FetchMetricNames(model::SearchQuery, Deadline) override {
    co_return std::vector<model::MetricName>();
  }
  boost::asio::awaitable<Result<std::vector<std::string>>> FetchLabelNames(model::SearchQuery, size_t, Deadline) override {
    co_return std::vector<std::string>();
  }
  boost::asio::awaitable<Result<std::vector<std::string>>> FetchLabelValues(model::SearchQuery, std::string, size_t, Deadline) override {
    co_return std::vector<std::string>();
  }
};

using Labels = std::map<std::string, std::string>;
Labels LabelsOf(const model::MetricName& name) {
  Labels labels;
  if (!name.metric_group.empty()) labels["__name__"] = name.metric_group;
  for (const auto& tag : name.tags) labels[tag.key] = tag.value;
  return labels;
}

/// Empty when `got` is what the case expects.
std::string CompareSeries(const std::vector<TimeSeries>& got, const Json& want) {
  if (got.size() != want.size()) return "got " + std::to_string(got.size()) + " series; want " + std::to_string(want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const Json& w = want[i];
    if (LabelsOf(got[i].name) != w["metric"].get<Labels>()) return "series " + std::to_string(i) + ": other labels";
    if (!AreNear(got[i].values, ToDoubles(w["values"]), 1e-9)) {
      std::string text = "series " + std::to_string(i) + ": values";
      for (const double v : got[i].values) text += " " + std::to_string(v);
      return text;
    }
    if (got[i].timestamps != ToTimestamps(w["timestamps"])) return "series " + std::to_string(i) + ": other timestamps";
  }
  return "";
}

TEST(ConformanceTest, Queries) {
  const auto cases = LoadCases("metricsql_eval.jsonl");
  if (cases.empty()) GTEST_SKIP() << "no conformance data";
  size_t passed = 0;
  std::map<std::string, size_t> missing;
  EmptySource source;
  net::Pool pool("test", 1);
  for (const auto& c : cases) {
    const auto query = c["query"].get<std::string>();
    const bool want_error = c["kind"] == "error";
    EvalContext context;
    context.source = &source;
    context.start = c["start_ms"];
    context.end = c["end_ms"];
    context.step = c["step_ms"];
    std::string problem;
    const auto expr = ParseQuery(query);
    if (!expr.ok()) {
      if (!want_error) problem = expr.error().message();
    } else {
      const auto got = net::BlockOn(pool.executor(), Exec(context, *expr.value()));
      if (!got.ok()) {
        const auto& message = got.error().message();
        const size_t unknown = message.find("unknown func");
        if (unknown != message.npos) {
          ++missing[message.substr(unknown)];
          problem = message;
        }
        if (!want_error) problem = message;
      } else {
        problem = want_error ? "no error" : CompareSeries(got.value(), c["expected"]);
      }
    }
    if (problem.empty()) {
      ++passed;
    } else {
      std::cout << c["id"].get<std::string>() << ": " << query << "\n    " << problem << "\n";
    }
  }
  for (const auto& [text, count] : missing) std::cout << text << ": " << count << " cases\n";
  std::cout << passed << " of " << cases.size() << " queries\n";
  EXPECT_GE(passed, 431u);
}

/// Runs a case of kind `rollup_func` or `rollup_func_direct`: one window.
double CallRollup(const Json& c, bool direct) {
  const auto number = [&](const char* key, double fallback) { return c.contains(key) ? ToDouble(c[key]) : fallback; };
  const double absent = direct ? 0 : kNaN;
  auto func = c["func"].get<std::string>();
  if (func == "deriv_fast_prometheus") func = "rate_prometheus";
  const RollupFunction* f = FindRollup(func);
  if (f == nullptr || f->window_func == nullptr) {
    ADD_FAILURE() << "no function " << func;
    return kNaN;
  }
  auto values = c.contains("values") ? ToDoubles(c["values"]) : std::vector<double>();
  const auto timestamps = c.contains("timestamps") ? ToTimestamps(c["timestamps"]) : std::vector<int64_t>(values.size());
  if (!direct && f->removes_resets) RemoveCounterResets(values, timestamps, 0);
  RollupWindow w;
  w.values = values;
  w.timestamps = timestamps;
  w.prev_value = number("prev_value", absent);
  w.real_prev_value = number("real_prev_value", absent);
  w.real_next_value = number("real_next_value", absent);
  w.prev_timestamp = static_cast<int64_t>(number("prev_timestamp", 0));
  w.end = static_cast<int64_t>(number("curr_timestamp", 0));
  w.window = static_cast<int64_t>(number("window", 0));
  std::vector<std::vector<double>> scalars;
  for (const auto& arg : c.value("args", Json::array())) {
    if (arg.is_object()) scalars.push_back(std::vector<double>(1, ToDouble(arg["scalar"])));
  }
  if (!scalars.empty()) w.arg0 = scalars[0];
  if (scalars.size() > 1) w.arg1 = scalars[1];
  std::vector<double> scratch;
  w.scratch = &scratch;
  return f->window_func(w);
}

bool PassesRollupError(const Json& c) {
  const RollupFunction* f = FindRollup(c["func"].get<std::string>());
  if (f == nullptr) return false;
  metricsql::FuncExpr expr;
  expr.name = c["func"];
  std::vector<std::vector<TimeSeries>> args;
  for (const auto& arg : c["args"]) {
    args.emplace_back();
    if (arg.is_object() && arg.contains("scalar")) {
      args.back().emplace_back().values = {ToDouble(arg["scalar"])};
    } else if (arg.is_object() && arg.contains("string")) {
      args.back().emplace_back().values = {kNaN};
    }
  }
  return !MakeRollupCall(*f, &expr, args).ok();
}

bool PassesRollupConfig(const Json& c) {
  auto func = c["func"].get<std::string>();
  const RollupFunction* f = FindRollup(func);
  if (f == nullptr) return false;
  RollupConfig config;
  config.start = c["start"];
  config.end = c["end"];
  config.step = c["step"];
  config.window = c["window"];
  config.lookback_delta = c["lookback_delta"];
  config.may_adjust_window = c["may_adjust_window"];
  config.is_default_rollup = c["is_default_rollup"];
  const auto values = ToDoubles(c["values"]);
  std::vector<double> out(config.PointsCount());
  RollupScratch scratch;
  const uint64_t scanned = RunRollupLoop(config, f->loop, static_cast<uint8_t>(c.value("samples_scanned_per_call", 0)), values,
                                         ToTimestamps(c["timestamps"]), {}, {}, scratch, out.data());
  if (c.contains("expected_samples_scanned") && scanned != c["expected_samples_scanned"].get<uint64_t>()) return false;
  return AreNear(out, ToDoubles(c["expected_values"]), 1e-13, 1e-14);
}

bool PassesTransform(const Json& c, bool& known) {
  auto values = ToDoubles(c["values"]);
  const auto timestamps = c.contains("timestamps") ? ToTimestamps(c["timestamps"]) : std::vector<int64_t>(values.size());
  for (const auto& op : c["ops"]) {
    if (op["op"] == "remove_counter_resets") {
      RemoveCounterResets(values, timestamps, op.value("max_staleness_interval", int64_t{0}));
    } else if (op["op"] == "delta_values") {
      DeltaValues(values);
    } else if (op["op"] == "deriv_values") {
      DerivValues(values, timestamps);
    } else {
      known = false;
    }
  }
  return AreNear(values, ToDoubles(c["expected_values"]), 1e-13, 1e-14);
}

bool PassesIncremental(const Json& c) {
  metricsql::AggrFuncExpr expr;
  expr.name = c["func"];
  IncrementalAggr aggr(expr);
  size_t index = 0;
  for (const auto& row : c["series_values"]) {
    TimeSeries s;
    s.values = ToDoubles(row);
    aggr.Add(index++, s);
  }
  const auto got = aggr.Finish();
  return got.size() == 1 && AreNear(got[0].values, ToDoubles(c["expected_values"]), 1e-13, 1e-14);
}

bool PassesRegression(const Json& c) {
  const auto timestamps = ToTimestamps(c["input"]["timestamps"]);
  const auto line = LinearRegression(ToDoubles(c["input"]["values"]), timestamps, timestamps[0] + 100);
  return IsNear(line.value, ToDouble(c["expected"]["v"]), 1e-13, 1e-14) && IsNear(line.slope_per_second, ToDouble(c["expected"]["k"]), 1e-13, 1e-14);
}

bool PassesMode(const Json& c) {
  auto values = ToDoubles(c["input"]["a"]);
  return IsNear(Mode(ToDouble(c["input"]["prev_value"]), values), ToDouble(c["expected"]), 1e-13, 1e-14);
}

TEST(ConformanceTest, Units) {
  const auto cases = LoadCases("promql_unit.jsonl");
  if (cases.empty()) GTEST_SKIP() << "no conformance data";
  std::map<std::string, size_t> passed;
  std::set<std::string> skipped;
  for (const auto& c : cases) {
    const auto kind = c["kind"].get<std::string>();
    bool known = true;
    bool ok = false;
    if (kind == "rollup_func" || kind == "rollup_func_direct") {
      const double got = CallRollup(c, kind == "rollup_func_direct");
      ok = IsNear(got, ToDouble(c["expected"]), 1e-13, 1e-14);
      EXPECT_TRUE(ok) << got << " " << c;
    } else if (kind == "rollup_func_error") {
      ok = PassesRollupError(c);
    } else if (kind == "rollup_config") {
      ok = PassesRollupConfig(c);
    } else if (kind == "series_transform") {
      ok = PassesTransform(c, known);
    } else if (kind == "incremental_aggregate") {
      ok = PassesIncremental(c);
    } else if (kind == "linear_regression") {
      ok = PassesRegression(c);
    } else if (kind == "mode_no_nans") {
      ok = PassesMode(c);
    } else {
      known = false;
    }
    if (!known) {
      skipped.insert(kind);
      continue;
    }
    EXPECT_TRUE(ok) << c;
    ++passed[kind];
  }
  for (const auto& [kind, count] : passed) std::cout << kind << ": " << count << " cases\n";
  for (const auto& kind : skipped) std::cout << kind << ": not here\n";
}

}  // namespace
}  // namespace vm::select
