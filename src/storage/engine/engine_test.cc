#include "storage/engine/engine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/decimal/decimal.h"
#include "lib/model/block.h"
#include "lib/model/metric_name.h"

namespace vm::storage {
namespace {

namespace stdfs = std::filesystem;

constexpr int64_t kCentury = 100LL * 365 * model::kMsecPerDay;
constexpr int64_t kNow = 1795392000123;  // 2026-11-23 00:00:00.123 UTC.

using Samples = std::vector<std::pair<int64_t, double>>;
using SeriesMap = std::map<std::string, Samples>;

stdfs::path NewDirectory(const std::string& name) {
  const stdfs::path path =
      stdfs::temp_directory_path() / ("vm_engine_" + std::to_string(getpid()) + "_" + name);
  stdfs::remove_all(path);
  return path;
}

EngineOptions OptionsFor(const stdfs::path& path, int64_t now_ms = kNow) {
  EngineOptions options;
  options.path = path.string();
  options.retention_ms = kCentury;
  options.min_free_disk_space_bytes = 0;
  options.now_ms = [now_ms] { return now_ms; };
  return options;
}

std::unique_ptr<Engine> OpenOrFail(EngineOptions options) {
  auto engine = Engine::Open(std::move(options));
  if (!engine.ok()) {
    ADD_FAILURE() << engine.error().message();
    return nullptr;
  }
  return std::move(engine).value();
}

ByteBuffer Raw(std::string_view group, std::vector<model::LabelView> labels = {}) {
  labels.insert(labels.begin(), {"", group});
  ByteBuffer raw;
  model::MarshalMetricNameRaw(raw, {0, 0}, labels);
  return raw;
}

std::string NameText(const model::MetricName& name) {
  std::map<std::string, std::string> labels;
  labels["__name__"] = name.metric_group;
  for (const model::Tag& tag : name.tags) labels[tag.key] = tag.value;
  return nlohmann::json(labels).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

model::SearchQuery Everything(model::Tenant tenant = {0, 0}) {
  model::SearchQuery query;
  query.tenant = tenant;
  query.time_range = {0, kNow + 2 * model::kMsecPerDay};
  query.tag_filter_groups = {{{"", ".+", false, true}}};
  query.max_metrics = 1'000'000;
  return query;
}

/// By time, equal times by the bits of the value: a total order also with staleness markers, and -0 as 0, as
/// exports print it.
void SortSamples(Samples& samples) {
  const auto key = [](const std::pair<int64_t, double>& s) {
    return std::pair(s.first, std::bit_cast<uint64_t>(s.second + 0.0));
  };
  std::sort(samples.begin(), samples.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
}

SeriesMap Read(Engine& engine, const model::SearchQuery& query) {
  SeriesMap series;
  Status status = engine.Search(
      query, Deadline(), [&](ByteView name_bytes, const model::EncodedBlock& block) -> Status {
        VM_ASSIGN_OR_RETURN(const model::MetricName name, model::MetricName::Unmarshal(name_bytes));
        model::DecodedBlock decoded;
        VM_TRY(model::DecodeBlock(block, decoded));
        std::vector<int64_t> timestamps;
        std::vector<double> values;
        model::AppendSamplesInRange(decoded, query.time_range, timestamps, values);
        Samples& samples = series[NameText(name)];
        for (size_t i = 0; i < timestamps.size(); ++i) {
          samples.emplace_back(timestamps[i], values[i]);
        }
        return Ok();
      });
  EXPECT_TRUE(status.ok()) << status.error().message();
  for (auto& [name, samples] : series) SortSamples(samples);
  return series;
}

TEST(EngineTest, KeepsRowsOverCloseAndOpen) {
  const auto path = NewDirectory("reopen");
  const ByteBuffer a = Raw("a", {{"job", "x"}, {"instance", "y"}});
  const ByteBuffer b = Raw("b");
  const std::vector<model::MetricRow> rows = {
      {a, kNow - 1000, 1.5}, {a, kNow, 2.5}, {b, kNow, 3}, {b, kNow, std::nan("")}};
  const SeriesMap want = {{R"({"__name__":"a","instance":"y","job":"x"})",
                           {{kNow - 1000, 1.5}, {kNow, 2.5}}},
                          {R"({"__name__":"b"})", {{kNow, 3}}}};
  {
    auto engine = OpenOrFail(OptionsFor(path));
    ASSERT_TRUE(engine);
    engine->AddRows(rows);
    engine->ForceFlush();
    EXPECT_EQ(Read(*engine, Everything()), want);
    EXPECT_EQ(engine->metrics().rows_received, 4u);
    EXPECT_EQ(engine->metrics().rows_added, 3u);
    EXPECT_EQ(engine->metrics().new_timeseries_created, 2u);
    ASSERT_TRUE(engine->Close().ok());
  }
  auto engine = OpenOrFail(OptionsFor(path));
  ASSERT_TRUE(engine);
  EXPECT_EQ(Read(*engine, Everything()), want);
  engine->AddRows(rows);
  EXPECT_EQ(engine->metrics().new_timeseries_created, 0u);
  auto count = engine->SeriesCount({0, 0}, Deadline());
  ASSERT_TRUE(count.ok());
  EXPECT_EQ(count.value(), 2u);
}

TEST(EngineTest, FindsTheSeriesOfYesterdayInThePreviousMonth) {
  constexpr int64_t kFirstOfDecember = 1796083200000;
  const auto path = NewDirectory("midnight");
  const ByteBuffer a = Raw("a", {{"job", "x"}});
  {
    auto engine = OpenOrFail(OptionsFor(path, kFirstOfDecember - 1000));
    ASSERT_TRUE(engine);
    const model::MetricRow row{a, kFirstOfDecember - 1000, 1};
    engine->AddRows({&row, 1});
    ASSERT_TRUE(engine->Close().ok());
  }
  auto engine = OpenOrFail(OptionsFor(path, kFirstOfDecember + 1000));
  ASSERT_TRUE(engine);
  const model::MetricRow row{a, kFirstOfDecember + 1000, 2};
  engine->AddRows({&row, 1});
  engine->ForceFlush();
  EXPECT_EQ(engine->metrics().new_timeseries_created, 0u);
  EXPECT_EQ(engine->metrics().timeseries_repopulated, 1u);
  auto query = Everything();
  query.time_range.max_timestamp = kFirstOfDecember + 2000;
  EXPECT_EQ(Read(*engine, query).begin()->second.size(), 2u);
}

TEST(EngineTest, SkipsAndCountsRowsOutsideTheLimits) {
  auto options = OptionsFor(NewDirectory("limits"));
  options.retention_ms = 31 * model::kMsecPerDay;
  auto engine = OpenOrFail(std::move(options));
  ASSERT_TRUE(engine);
  const ByteBuffer a = Raw("a");
  const std::vector<model::MetricRow> rows = {{a, kNow - 32 * model::kMsecPerDay, 1},
                                              {a, kNow + 3 * model::kMsecPerDay, 1}};
  engine->AddRows(rows);
  EXPECT_EQ(engine->metrics().rows_too_small_timestamp, 1u);
  EXPECT_EQ(engine->metrics().rows_too_big_timestamp, 1u);
  EXPECT_EQ(engine->metrics().rows_added, 0u);
}

/// Read a copy of a directory that the original wrote and compare with what it exported.
void CompareWithExport(const std::string& name) {
  SCOPED_TRACE(name);
  const stdfs::path golden = stdfs::path(VM_SHARED_DIR) / "golden/disk" / name;
  if (!stdfs::exists(golden / "export.jsonl")) GTEST_SKIP() << "no recording " << golden;
  const auto path = NewDirectory(name);
  stdfs::create_directories(path);
  stdfs::copy(golden / "data", path, stdfs::copy_options::recursive);
  for (const auto& entry : stdfs::recursive_directory_iterator(path)) {
    stdfs::permissions(entry.path(), stdfs::perms::owner_all, stdfs::perm_options::add);
  }
  std::map<model::Tenant, SeriesMap> want_by_tenant;
  std::ifstream file(golden / "export.jsonl");
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    const auto json = nlohmann::json::parse(line);
    const std::string tenant_text = json["tenant"];
    const size_t colon = tenant_text.find(':');
    const model::Tenant tenant{
        static_cast<uint32_t>(std::stoul(tenant_text.substr(0, colon))),
        static_cast<uint32_t>(std::stoul(tenant_text.substr(colon + 1)))};
    Samples& samples = want_by_tenant[tenant][json["metric"].dump()];
    for (size_t i = 0; i < json["timestamps"].size(); ++i) {
      const auto& v = json["values"][i];
      double value = 0;
      if (v.is_number()) {
        value = v.get<double>();
      } else if (v.is_null()) {
        value = decimal::StaleNaN();
      } else {
        value = std::strtod(v.get<std::string>().c_str(), nullptr);
      }
      samples.emplace_back(json["timestamps"][i].get<int64_t>(), value);
    }
  }
  auto options = OptionsFor(path);
  options.start_background = false;
  auto engine = OpenOrFail(std::move(options));
  ASSERT_TRUE(engine);
  ASSERT_FALSE(want_by_tenant.empty());
  for (auto& [tenant, want] : want_by_tenant) {
    const SeriesMap got = Read(*engine, Everything(tenant));
    EXPECT_EQ(got.size(), want.size());
    for (auto& [series, samples] : want) {
      SortSamples(samples);
      const auto it = got.find(series);
      ASSERT_NE(it, got.end()) << series;
      ASSERT_EQ(it->second.size(), samples.size()) << series;
      for (size_t i = 0; i < samples.size(); ++i) {
        ASSERT_EQ(it->second[i].first, samples[i].first) << series << " " << i;
        const double a = it->second[i].second, b = samples[i].second;
        ASSERT_TRUE(a == b || (std::isnan(a) && std::isnan(b)))
            << series << " " << i << " " << a << " " << b;
      }
    }
  }
}

TEST(EngineGoldenTest, ReadsBasic) { CompareWithExport("basic"); }
TEST(EngineGoldenTest, ReadsMonths) { CompareWithExport("months"); }
TEST(EngineGoldenTest, ReadsUnmerged) { CompareWithExport("unmerged"); }
TEST(EngineGoldenTest, ReadsPrecision) { CompareWithExport("precision"); }
TEST(EngineGoldenTest, ReadsMany) { CompareWithExport("many"); }
TEST(EngineGoldenTest, ReadsDeleted) { CompareWithExport("deleted"); }
TEST(EngineGoldenTest, ReadsWithCache) { CompareWithExport("with_cache"); }
TEST(EngineGoldenTest, ReadsWithoutPerDayIndex) { CompareWithExport("no_per_day"); }
TEST(EngineGoldenTest, ReadsDedup) { CompareWithExport("dedup"); }

}  // namespace
}  // namespace vm::storage
