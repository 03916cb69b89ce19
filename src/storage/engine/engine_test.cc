#include "storage/engine/engine.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/decimal/decimal.h"
#include "lib/fs/fault_file_system.h"
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
    EXPECT_TRUE(engine->AddRows(rows).ok());
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
  EXPECT_TRUE(engine->AddRows(rows).ok());
  EXPECT_EQ(engine->metrics().new_timeseries_created, 0u);
  auto count = engine->SeriesCount({0, 0}, Deadline());
  ASSERT_TRUE(count.ok());
  EXPECT_EQ(count.value(), 2u);
}

TEST(EngineTest, KeepsTheBitsOfStalenessMarkersOverCloseAndOpen) {
  const auto path = NewDirectory("stale");
  const ByteBuffer a = Raw("a");
  const std::vector<model::MetricRow> rows = {
      {a, kNow - 3000, 1.5}, {a, kNow - 2000, decimal::StaleNaN()}, {a, kNow - 1000, 1e9}, {a, kNow, decimal::StaleNaN()}};
  {
    auto engine = OpenOrFail(OptionsFor(path));
    ASSERT_TRUE(engine);
    engine->AddRows(rows);
    ASSERT_TRUE(engine->Close().ok());
  }
  auto engine = OpenOrFail(OptionsFor(path));
  ASSERT_TRUE(engine);
  const Samples got = Read(*engine, Everything()).begin()->second;
  ASSERT_EQ(got.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(got[i].first, rows[i].timestamp);
    EXPECT_EQ(std::bit_cast<uint64_t>(got[i].second), std::bit_cast<uint64_t>(rows[i].value));
  }
  EXPECT_EQ(std::bit_cast<uint64_t>(decimal::StaleNaN()), 0x7ff0000000000002u);
}

TEST(EngineTest, FindsTheSeriesOfYesterdayInThePreviousMonth) {
  constexpr int64_t kFirstOfDecember = 1796083200000;
  const auto path = NewDirectory("midnight");
  const ByteBuffer a = Raw("a", {{"job", "x"}});
  {
    auto options = OptionsFor(path, kFirstOfDecember - 1000);
    options.idb_prefill_start_ms = 0;
    auto engine = OpenOrFail(std::move(options));
    ASSERT_TRUE(engine);
    const model::MetricRow row{a, kFirstOfDecember - 1000, 1};
    EXPECT_TRUE(engine->AddRows({&row, 1}).ok());
    ASSERT_TRUE(engine->Close().ok());
  }
  auto engine = OpenOrFail(OptionsFor(path, kFirstOfDecember + 1000));
  ASSERT_TRUE(engine);
  const model::MetricRow row{a, kFirstOfDecember + 1000, 2};
  EXPECT_TRUE(engine->AddRows({&row, 1}).ok());
  engine->ForceFlush();
  EXPECT_EQ(engine->metrics().new_timeseries_created, 0u);
  EXPECT_EQ(engine->metrics().timeseries_repopulated, 1u);
  auto query = Everything();
  query.time_range.max_timestamp = kFirstOfDecember + 2000;
  EXPECT_EQ(Read(*engine, query).begin()->second.size(), 2u);
}

TEST(EngineTest, RowsOfAMonthThatCannotBeOpenedAreDroppedAlone) {
  const std::string data = "/var/storage/data/";
  const auto break_list = [&](fs::FaultFileSystem& disk) {
    ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, data + "small/2026_10").ok());
    ASSERT_TRUE(disk.AtomicWriteFile(data + "small/2026_10/parts.json", AsBytes("not a list of parts")).ok());
  };
  const auto lose_file = [&](fs::FaultFileSystem& disk) {
    ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, data + "small/2026_10/0000000000000001").ok());
    const std::string_view list = R"({"Small":["0000000000000001"],"Big":[]})";
    ASSERT_TRUE(disk.AtomicWriteFile(data + "small/2026_10/parts.json", AsBytes(list)).ok());
  };
  const auto lose_index_file = [&](fs::FaultFileSystem& disk) {
    ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, data + "indexdb/2026_10/0000000000000001").ok());
    ASSERT_TRUE(
        disk.AtomicWriteFile(data + "indexdb/2026_10/parts.json", AsBytes(R"(["0000000000000001"])")).ok());
  };
  const auto block_folder = [&](fs::FaultFileSystem& disk) {
    ASSERT_TRUE(disk.AtomicWriteFile(data + "small/2026_10", AsBytes("no folder")).ok());
  };
  using Damage = std::function<void(fs::FaultFileSystem&)>;
  for (const Damage& damage : {Damage(break_list), Damage(lose_file), Damage(lose_index_file), Damage(block_folder)}) {
    fs::FaultFileSystem disk;
    ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/var").ok());
    int64_t now = kNow;
    EngineOptions options = OptionsFor("/var/storage");
    options.now_ms = [&now] { return now; };
    options.file_system = &disk;
    options.start_background = false;
    auto engine = OpenOrFail(options);
    ASSERT_NE(engine, nullptr);
    const ByteBuffer a = Raw("a");
    const ByteBuffer b = Raw("b");
    // Somebody puts a month there while the storage runs.
    damage(disk);
    uint64_t reads = 0;
    disk.SetFault([&](const fs::FileOperation&) {
      ++reads;
      return 0;
    });
    const std::vector<model::MetricRow> packet = {
        {a, kNow, 1}, {b, kNow - 31 * model::kMsecPerDay, 2}, {b, kNow - 31 * model::kMsecPerDay + 1, 3}, {a, kNow + 1, 4}};
    for (uint64_t round = 1; round <= 3; ++round) {
      const Status taken = engine->AddRows(packet);
      ASSERT_TRUE(taken.ok()) << taken.error().message();
      EXPECT_EQ(engine->metrics().rows_added, 2 * round);
      EXPECT_EQ(engine->metrics().rows_of_unreadable_months, 2 * round);
      if (round > 1) {
        EXPECT_EQ(reads, 0u) << "the month is not tried for each row";
      }
      reads = 0;
    }
    EXPECT_TRUE(engine->RegisterMetricNames(packet).ok());
    engine->ForceFlush();
    EXPECT_EQ(Read(*engine, Everything()).size(), 1u);

    // The operator moves the month away; rows are taken again soon.
    for (const std::string kind : {"small", "indexdb"}) {
      if (disk.Exists(data + kind + "/2026_10")) {
        ASSERT_TRUE(disk.Rename(data + kind + "/2026_10", "/var/" + kind).ok());
      }
    }
    now += 10'000;
    ASSERT_TRUE(engine->AddRows(packet).ok());
    engine->ForceFlush();
    EXPECT_EQ(Read(*engine, Everything()).size(), 2u);
    EXPECT_EQ(engine->metrics().rows_added, 10u);
    EXPECT_TRUE(engine->Close().ok());
  }
}

TEST(EngineTest, RowsOfAMonthThatTheDiskRefusesForAMomentAreRefused) {
  fs::FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/var").ok());
  EngineOptions options = OptionsFor("/var/storage");
  options.file_system = &disk;
  options.start_background = false;
  auto engine = OpenOrFail(options);
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/var/storage/data/small/2026_10").ok());
  const ByteBuffer a = Raw("a");
  const std::vector<model::MetricRow> rows = {{a, kNow - 31 * model::kMsecPerDay, 2}};
  for (const int error : {ENOSPC, EDQUOT, EIO, EMFILE, EROFS}) {
    disk.SetFault([&](const fs::FileOperation& operation) {
      return operation.path.find("2026_10") != std::string::npos ? error : 0;
    });
    const Status refused = engine->AddRows(rows);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message().find("cannot open partition in /var/storage"), std::string::npos)
        << refused.error().message();
    EXPECT_FALSE(engine->RegisterMetricNames(rows).ok());
  }
  EXPECT_EQ(engine->metrics().rows_of_unreadable_months, 0u);
  disk.SetFault({});
  ASSERT_TRUE(engine->AddRows(rows).ok()) << "at once";
  engine->ForceFlush();
  EXPECT_EQ(Read(*engine, Everything()).size(), 1u);
  EXPECT_EQ(engine->metrics().rows_added, 1u);
  EXPECT_TRUE(engine->Close().ok());
}

TEST(EngineTest, SeriesAreRegisteredAnewWhereTheIndexIsDamaged) {
  fs::FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/var").ok());
  EngineOptions options = OptionsFor("/var/storage");
  options.file_system = &disk;
  options.start_background = false;
  std::vector<ByteBuffer> names;
  std::vector<model::MetricRow> rows;
  for (int i = 0; i < 3000; ++i) {
    names.push_back(Raw("metric_" + std::to_string(i), {{"job", "x"}, {"instance", std::to_string(i * 7919)}}));
  }
  for (const ByteBuffer& name : names) rows.push_back({name, kNow, 1});
  {
    auto engine = OpenOrFail(options);
    ASSERT_NE(engine, nullptr);
    ASSERT_TRUE(engine->AddRows(rows).ok());
    ASSERT_TRUE(engine->Close().ok());
  }
  // The names of the last series: deleted ids, which are read at the start, are before them.
  const std::string index = "/var/storage/data/indexdb/2026_11";
  for (const fs::DirEntry& entry : disk.ListDirectory(index).value()) {
    if (!entry.is_directory) continue;
    const std::string file = index + "/" + entry.name + "/items.bin";
    ByteBuffer items = disk.ReadFile(file).value();
    std::fill(items.end() - static_cast<ptrdiff_t>(items.size() / 16), items.end(), uint8_t{0x5a});
    ASSERT_TRUE(fs::WriteFileSynced(disk, file, items).ok());
  }
  for (const fs::DirEntry& entry : disk.ListDirectory("/var/storage/cache").value()) {
    ASSERT_TRUE(disk.RemoveFile("/var/storage/cache/" + entry.name).ok());
  }
  auto engine = OpenOrFail(options);
  ASSERT_NE(engine, nullptr);
  const Status taken = engine->AddRows(rows);
  ASSERT_TRUE(taken.ok()) << taken.error().message();
  EXPECT_EQ(engine->metrics().rows_added, 3000u);
  const uint64_t created = engine->metrics().new_timeseries_created;
  EXPECT_GT(created, 0u);
  EXPECT_LT(created, 3000u);
  EXPECT_GE(engine->metrics().unreadable_index_lookups, created);
  ASSERT_TRUE(engine->AddRows(rows).ok());
  EXPECT_EQ(engine->metrics().new_timeseries_created, created) << "once";
}

TEST(EngineTest, RegistersASeriesOnEachDayOfItsRows) {
  const auto path = NewDirectory("days");
  auto engine = OpenOrFail(OptionsFor(path));
  ASSERT_NE(engine, nullptr);
  const ByteBuffer a = Raw("a", {{"job", "x"}});
  const ByteBuffer b = Raw("b", {{"job", "x"}});
  constexpr int64_t kYesterday = kNow - model::kMsecPerDay;
  // The days alternate within a packet, and in the next one.
  std::vector<model::MetricRow> rows;
  for (int i = 0; i < 100; ++i) {
    rows.push_back({a, (i % 2 == 0 ? kYesterday : kNow) + i, double(i)});
    if (i % 3 == 0) rows.push_back({b, kNow + i, double(i)});
  }
  EXPECT_TRUE(engine->AddRows(rows).ok());
  rows = {{b, kYesterday + 1000, 1}, {a, kYesterday + 1000, 1}, {b, kNow + 1000, 1}};
  EXPECT_TRUE(engine->AddRows(rows).ok());
  engine->ForceFlush();
  EXPECT_EQ(engine->metrics().new_timeseries_created, 2u);
  EXPECT_EQ(engine->metrics().slow_per_day_index_inserts, 2u);
  for (const int64_t day : {kYesterday, kNow}) {
    model::SearchQuery query = Everything();
    query.time_range = {day, day + 60'000};
    const SeriesMap series = Read(*engine, query);
    ASSERT_EQ(series.size(), 2u) << day;
    EXPECT_EQ(series.begin()->second.size(), 50u + (day == kYesterday ? 1 : 0)) << day;
  }
  EXPECT_TRUE(engine->Close().ok());
  stdfs::remove_all(path);
}

TEST(EngineTest, CountsTheSeriesOfTheCurrentHour) {
  const auto path = NewDirectory("hours");
  constexpr int64_t kHour = 3'600'000;
  std::atomic<int64_t> now = kNow / kHour * kHour;  // Threads of the engine ask, too.
  EngineOptions options = OptionsFor(path);
  options.now_ms = [&now] { return now.load(); };
  auto engine = OpenOrFail(options);
  ASSERT_NE(engine, nullptr);
  const ByteBuffer a = Raw("a", {{"job", "x"}});
  const ByteBuffer b = Raw("b", {{"job", "x"}});
  const ByteBuffer c = Raw("c", {{"job", "x"}});
  const auto add = [&](const ByteBuffer& name, int64_t timestamp) {
    EXPECT_TRUE(engine->AddRows(std::vector<model::MetricRow>{{name, timestamp, 1}}).ok());
    return engine->Stats().active_series;
  };
  EXPECT_EQ(add(a, now - 1), 0u) << "a row of the hour before";
  EXPECT_EQ(add(a, now), 1u);
  EXPECT_EQ(add(a, now + 1), 1u);
  EXPECT_EQ(add(b, now + 2), 2u);
  EXPECT_EQ(add(c, now - 5 * kHour), 2u);
  now += kHour;
  EXPECT_EQ(engine->Stats().active_series, 0u);
  EXPECT_EQ(add(b, now), 1u);
  EXPECT_EQ(add(b, now + 1), 1u);
  EXPECT_EQ(add(c, now), 2u);
  EXPECT_TRUE(engine->Close().ok());
  stdfs::remove_all(path);
}

TEST(EngineTest, SkipsAndCountsRowsOutsideTheLimits) {
  auto options = OptionsFor(NewDirectory("limits"));
  options.retention_ms = 31 * model::kMsecPerDay;
  auto engine = OpenOrFail(std::move(options));
  ASSERT_TRUE(engine);
  const ByteBuffer a = Raw("a");
  const std::vector<model::MetricRow> rows = {{a, kNow - 32 * model::kMsecPerDay, 1},
                                              {a, kNow + 3 * model::kMsecPerDay, 1}};
  EXPECT_TRUE(engine->AddRows(rows).ok());
  EXPECT_EQ(engine->metrics().rows_too_small_timestamp, 1u);
  EXPECT_EQ(engine->metrics().rows_too_big_timestamp, 1u);
  EXPECT_EQ(engine->metrics().rows_added, 0u);
}

model::SearchQuery QueryFor(std::vector<model::TagFilter> filters, model::TimeRange range) {
  model::SearchQuery query;
  query.time_range = range;
  query.tag_filter_groups = {std::move(filters)};
  return query;
}

TEST(EngineTest, HidesDeletedSeriesAtOnceAndAfterARestart) {
  const auto path = NewDirectory("delete");
  const ByteBuffer a = Raw("a", {{"job", "x"}}), b = Raw("b", {{"job", "x"}});
  const std::vector<model::MetricRow> rows = {{a, kNow - 1000, 1}, {b, kNow - 1000, 2}};
  const SeriesMap only_b = {{R"({"__name__":"b","job":"x"})", {{kNow - 1000, 2}}}};
  {
    auto engine = OpenOrFail(OptionsFor(path));
    ASSERT_TRUE(engine);
    EXPECT_TRUE(engine->AddRows(rows).ok());
    engine->ForceFlush();
    EXPECT_EQ(Read(*engine, Everything()).size(), 2u);
    EXPECT_EQ(engine->DeleteSeries(model::SearchQuery(), Deadline()).error().message(), "missing tag filters");
    const auto deleted = engine->DeleteSeries(QueryFor({{"", "a", false, false}}, {0, 1}), Deadline());
    ASSERT_TRUE(deleted.ok());
    EXPECT_EQ(deleted.value(), 1u);
    EXPECT_EQ(Read(*engine, Everything()), only_b);
    EXPECT_EQ(engine->SeriesCount({0, 0}, Deadline()).value(), 2u);
    const auto names = engine->SearchLabelValues(QueryFor({}, {0, kNow}), "__name__", 10, Deadline());
    ASSERT_TRUE(names.ok());
    EXPECT_EQ(names.value(), std::vector<std::string>{"b"});
    ASSERT_TRUE(engine->Close().ok());
  }
  auto engine = OpenOrFail(OptionsFor(path));
  ASSERT_TRUE(engine);
  EXPECT_EQ(Read(*engine, Everything()), only_b);
  // The name comes back as another series, without its past.
  const model::MetricRow again{a, kNow, 3};
  EXPECT_TRUE(engine->AddRows({&again, 1}).ok());
  engine->ForceFlush();
  EXPECT_EQ(engine->metrics().new_timeseries_created, 1u);
  EXPECT_EQ(Read(*engine, Everything()).at(R"({"__name__":"a","job":"x"})"), (Samples{{kNow, 3}}));
}

TEST(EngineTest, KeepsTheDeletedPastHiddenWhenASeriesGoesOnInTheNextMonth) {
  constexpr int64_t kFirstOfDecember = 1796083200000;
  auto options = OptionsFor(NewDirectory("delete_months"));
  int64_t now = kFirstOfDecember - 1000;
  options.now_ms = [&now] { return now; };
  options.start_background = false;
  auto engine = OpenOrFail(std::move(options));
  ASSERT_TRUE(engine);
  const ByteBuffer a = Raw("a");
  const model::MetricRow before{a, now, 1};
  EXPECT_TRUE(engine->AddRows({&before, 1}).ok());
  ASSERT_EQ(engine->DeleteSeries(QueryFor({{"", "a", false, false}}, {0, 1}), Deadline()).value(), 1u);
  now = kFirstOfDecember + 1000;
  const model::MetricRow after{a, now, 2};
  EXPECT_TRUE(engine->AddRows({&after, 1}).ok());
  engine->ForceFlush();
  auto query = Everything();
  query.time_range.max_timestamp = now;
  EXPECT_EQ(Read(*engine, query), (SeriesMap{{R"({"__name__":"a"})", {{now, 2}}}}));
}

TEST(EngineTest, TellsTenantsSuffixesAndStatistics) {
  auto engine = OpenOrFail(OptionsFor(NewDirectory("statistics")));
  ASSERT_TRUE(engine);
  ByteBuffer other;
  const std::vector<model::LabelView> labels = {{"", "x"}};
  model::MarshalMetricNameRaw(other, {7, 8}, labels);
  const std::vector<ByteBuffer> names = {Raw("foo.bar.a", {{"job", "1"}}), Raw("foo.bar.b", {{"job", "1"}}),
                                         Raw("foo.qux", {{"job", "2"}}), Raw("foo", {{"other", "1"}})};
  std::vector<model::MetricRow> rows = {{other, kNow - model::kMsecPerDay, 1}};
  for (const auto& name : names) rows.push_back({name, kNow, 1});
  rows.push_back({names[0], kNow - model::kMsecPerDay, 1});
  EXPECT_TRUE(engine->AddRows(rows).ok());

  using Tenants = std::vector<model::Tenant>;
  EXPECT_EQ(engine->SearchTenants({0, kNow}, Deadline()).value(), (Tenants{{0, 0}, {7, 8}}));
  EXPECT_EQ(engine->SearchTenants({kNow, kNow}, Deadline()).value(), (Tenants{{0, 0}}));
  EXPECT_EQ(engine->SearchTenants({kNow - 9 * model::kMsecPerDay, kNow - 8 * model::kMsecPerDay}, Deadline()).value(),
            Tenants());

  using Texts = std::vector<std::string>;
  const auto suffixes = [&](const std::string& prefix, size_t limit) {
    return engine->SearchTagValueSuffixes({0, 0}, {kNow, kNow}, "", prefix, '.', limit, Deadline()).value();
  };
  EXPECT_EQ(suffixes("", 10), (Texts{"foo", "foo."}));
  EXPECT_EQ(suffixes("foo", 10), (Texts{"", "."}));
  EXPECT_EQ(suffixes("foo.", 10), (Texts{"bar.", "qux"}));
  EXPECT_EQ(suffixes("foo.bar.", 10), (Texts{"a", "b"}));
  EXPECT_EQ(suffixes("foo.bar.", 1), (Texts{"a"}));
  EXPECT_EQ(suffixes("none", 10), Texts());

  const auto status = engine->GetTsdbStatus(QueryFor({}, {kNow, kNow}), "job", 2, Deadline());
  ASSERT_TRUE(status.ok());
  using Top = std::vector<model::TopEntry>;
  EXPECT_EQ(status.value().total_series, 4u);
  EXPECT_EQ(status.value().total_label_value_pairs, 8u);
  EXPECT_EQ(status.value().series_count_by_metric_name, (Top{{"foo", 1}, {"foo.bar.a", 1}}));
  EXPECT_EQ(status.value().series_count_by_label_name, (Top{{"__name__", 4}, {"job", 3}}));
  EXPECT_EQ(status.value().series_count_by_focus_label_value, (Top{{"1", 2}, {"2", 1}}));
  EXPECT_EQ(status.value().series_count_by_label_value_pair, (Top{{"job=1", 2}, {"__name__=foo.bar.a", 1}}));
  EXPECT_EQ(status.value().label_value_count_by_label_name, (Top{{"__name__", 4}, {"job", 2}}));
  EXPECT_EQ(status.value().query_stats_by_metric_name,
            (std::vector<model::NameUsage>{{"foo", 0, 0}, {"foo.bar.a", 0, 0}}));
  auto filtered = QueryFor({{"job", "1", false, false}}, {kNow, kNow});
  EXPECT_EQ(engine->GetTsdbStatus(filtered, "job", 2, Deadline()).value().total_series, 2u);
  EXPECT_EQ(engine->GetTsdbStatus(QueryFor({}, {kNow - model::kMsecPerDay, kNow}), "", 2, Deadline())
                .value()
                .total_series,
            1u);
}

TEST(EngineTest, CountsWhichNamesQueriesAskFor) {
  auto engine = OpenOrFail(OptionsFor(NewDirectory("usage")));
  ASSERT_TRUE(engine);
  const ByteBuffer a1 = Raw("a", {{"job", "1"}}), a2 = Raw("a", {{"job", "2"}}), b = Raw("b");
  const std::vector<model::MetricRow> rows = {{a1, kNow, 1}, {a2, kNow, 1}, {b, kNow, 1}};
  EXPECT_TRUE(engine->AddRows(rows).ok());
  engine->ForceFlush();
  Read(*engine, QueryFor({{"", "a", false, false}}, {kNow, kNow}));
  using Records = std::vector<model::NameUsage>;
  auto stats = engine->GetMetricNamesUsageStats(model::Tenant{0, 0}, 10, -1, "");
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats.value().records, (Records{{"a", kNow / 1000, 2}, {"b", 0, 0}}));
  EXPECT_EQ(stats.value().total_records, 2u);
  EXPECT_EQ(engine->GetMetricNamesUsageStats(std::nullopt, 10, 0, "").value().records, (Records{{"b", 0, 0}}));
  EXPECT_EQ(engine->GetMetricNamesUsageStats(std::nullopt, 10, -1, "b").value().records, (Records{{"b", 0, 0}}));
  EXPECT_TRUE(engine->GetMetricNamesUsageStats(std::nullopt, 0, -1, "").value().records.empty());
  EXPECT_FALSE(engine->GetMetricNamesUsageStats(std::nullopt, 10, -1, "(").ok());
  engine->ResetMetricNamesStats();
  EXPECT_EQ(engine->GetMetricNamesUsageStats(std::nullopt, 10, -1, "").value().total_records, 0u);
  EXPECT_TRUE(engine->AddRows(rows).ok());
  EXPECT_EQ(engine->GetMetricNamesUsageStats(std::nullopt, 10, -1, "").value().total_records, 2u);
  EXPECT_EQ(engine->metrics().new_timeseries_created, 3u);
}

TEST(EngineTest, RegistersNamesWithoutSamples) {
  auto engine = OpenOrFail(OptionsFor(NewDirectory("register")));
  ASSERT_TRUE(engine);
  const ByteBuffer a = Raw("a", {{"job", "1"}}), broken = {1, 2, 3};
  const std::vector<model::MetricRow> rows = {{broken, kNow, 0}, {a, kNow, 0}};
  EXPECT_TRUE(engine->RegisterMetricNames(rows).ok());
  engine->ForceFlush();
  EXPECT_EQ(engine->SearchMetricNames(Everything(), Deadline()).value().size(), 1u);
  EXPECT_TRUE(Read(*engine, Everything()).empty());
  EXPECT_EQ(engine->metrics().rows_added, 0u);
}

TEST(EngineTest, RegistersSeriesAheadOfMidnight) {
  constexpr int64_t kFirstOfDecember = 1796083200000;
  constexpr int64_t kHalfHour = 1'800'000;
  std::vector<ByteBuffer> names;
  for (int i = 0; i < 400; ++i) names.push_back(Raw("m", {{"i", std::to_string(i)}}));
  // A day in the middle of a month, and the end of a month.
  for (const int64_t midnight : {kNow - 123 + model::kMsecPerDay, kFirstOfDecember}) {
    auto options = OptionsFor(NewDirectory("prefill"));
    int64_t now = midnight - 2 * kHalfHour - 1;
    options.now_ms = [&now] { return now; };
    options.start_background = false;
    auto engine = OpenOrFail(std::move(options));
    ASSERT_TRUE(engine);
    const auto add_all = [&] {
      std::vector<model::MetricRow> rows;
      for (const auto& name : names) rows.push_back({name, now, 1});
      EXPECT_TRUE(engine->AddRows(rows).ok());
    };
    const auto registered_tomorrow = [&] {
      const model::TimeRange tomorrow{midnight, midnight + 1};
      return engine->SearchMetricNames(QueryFor({{"", "m", false, false}}, tomorrow), Deadline()).value().size();
    };
    add_all();
    EXPECT_EQ(registered_tomorrow(), 0u);
    now = midnight - kHalfHour;
    add_all();
    EXPECT_GT(registered_tomorrow(), 150u);
    EXPECT_LT(registered_tomorrow(), 250u);
    now = midnight - 1;
    add_all();
    EXPECT_GT(registered_tomorrow(), 395u);
    EXPECT_EQ(engine->metrics().timeseries_precreated, midnight == kFirstOfDecember ? registered_tomorrow() : 0u);
    EXPECT_EQ(engine->metrics().slow_per_day_index_inserts, 0u);
    now = midnight + 1;
    add_all();
    EXPECT_LT(engine->metrics().slow_per_day_index_inserts, 5u);
    EXPECT_EQ(engine->metrics().new_timeseries_created, 400u);
    ASSERT_TRUE(engine->Close().ok());
  }
}

TEST(EngineTest, RefusesSeriesAboveTheLimitsUntilThePeriodEnds) {
  auto options = OptionsFor(NewDirectory("series_limits"));
  int64_t now = kNow;
  options.now_ms = [&now] { return now; };
  options.start_background = false;
  options.max_hourly_series = 2;
  options.max_daily_series = 3;
  auto engine = OpenOrFail(std::move(options));
  ASSERT_TRUE(engine);
  const std::vector<ByteBuffer> names = {Raw("a"), Raw("b"), Raw("c"), Raw("d"), Raw("e")};
  const auto add_all = [&] {
    for (const auto& name : names) {
      const model::MetricRow row{name, now, 1};
      EXPECT_TRUE(engine->AddRows({&row, 1}).ok());
    }
    return engine->metrics().rows_added.load();
  };
  EXPECT_EQ(add_all(), 2u);
  EXPECT_EQ(add_all(), 4u);
  EXPECT_EQ(engine->Stats().hourly_series.rows_dropped, 6u);
  // The next hour lets two pass, and one of them is new for the day.
  now += 3'600'000;
  const std::vector<ByteBuffer> turned = {names[4], names[3], names[0]};
  for (const auto& name : turned) {
    const model::MetricRow row{name, now, 1};
    EXPECT_TRUE(engine->AddRows({&row, 1}).ok());
  }
  EXPECT_EQ(engine->metrics().rows_added, 5u);
  EXPECT_EQ(engine->Stats().daily_series.rows_dropped, 1u);
  now += model::kMsecPerDay;
  EXPECT_EQ(add_all(), 7u);
}

TEST(EngineTest, WithoutThePerDayIndexEverythingIsFoundByTheGlobalOne) {
  const auto path = NewDirectory("no_per_day");
  const ByteBuffer a = Raw("a", {{"job", "x"}});
  for (int round = 0; round < 2; ++round) {
    auto options = OptionsFor(path);
    options.disable_per_day_index = true;
    auto engine = OpenOrFail(std::move(options));
    ASSERT_TRUE(engine);
    const model::MetricRow row{a, kNow - round * model::kMsecPerDay, 1};
    EXPECT_TRUE(engine->AddRows({&row, 1}).ok());
    engine->ForceFlush();
    EXPECT_EQ(engine->metrics().new_timeseries_created, round == 0 ? 1u : 0u);
    const auto query = QueryFor({{"job", "x", false, false}}, {kNow - model::kMsecPerDay, kNow});
    EXPECT_EQ(Read(*engine, query).begin()->second.size(), static_cast<size_t>(round + 1));
    EXPECT_EQ(engine->SearchLabelNames(QueryFor({}, {kNow, kNow}), 10, Deadline()).value(),
              (std::vector<std::string>{"__name__", "job"}));
    EXPECT_EQ(engine->SearchTenants({kNow, kNow}, Deadline()).value().size(), 1u);
    EXPECT_EQ(engine->GetTsdbStatus(QueryFor({}, {kNow, kNow}), "", 3, Deadline()).value().total_series, 1u);
    EXPECT_EQ(engine->Stats().index.date_range_searches, 0u);
    ASSERT_TRUE(engine->Close().ok());
  }
}

TEST(EngineTest, SaysWhereASearchFailedAsTheReferenceDoes) {
  auto options = OptionsFor(NewDirectory("texts"));
  options.retention_ms = 31 * model::kMsecPerDay;
  options.deny_queries_outside_retention = true;
  auto engine = OpenOrFail(std::move(options));
  ASSERT_TRUE(engine);
  const std::vector<ByteBuffer> names = {Raw("a"), Raw("b"), Raw("c")};
  for (const auto& name : names) {
    const model::MetricRow row{name, kNow, 1};
    EXPECT_TRUE(engine->AddRows({&row, 1}).ok());
  }
  auto query = QueryFor({{"", "", true, false}}, {kNow - 600000, kNow});
  query.max_metrics = 2;
  const std::string tail =
      "failed to search metricIDs: the number of matching timeseries exceeds 2; either narrow down the search or "
      "increase -search.max* command-line flag values (the most likely limit is -search.maxUniqueTimeseries); see "
      "https://docs.victoriametrics.com/victoriametrics/single-server-victoriametrics/#resource-usage-limits";
  EXPECT_EQ(engine->StartSearch(query, Deadline()).error().message(),
            "error when searching for tagFilters=[{AccountID=0,ProjectID=0,__name__=~\".+\"}] on the time range "
            "[2026-11-22T23:50:00.123Z..2026-11-23T00:00:00.123Z]: failed to search TSIDs in indexDB \"2026_11\": " +
                tail);
  EXPECT_EQ(engine->SearchMetricNames(query, Deadline()).error().message(),
            "failed to search metric names in indexDB \"2026_11\": " + tail);
  query.time_range.min_timestamp = kNow - 40 * model::kMsecPerDay;
  EXPECT_EQ(engine->SearchMetricNames(query, Deadline()).error().message(),
            "the given time range [2026-10-14T00:00:00.123Z..2026-11-23T00:00:00.123Z] is outside the allowed "
            "-retentionPeriod=744h0m0s, -futureRetention=48h0m0s according to -denyQueriesOutsideRetention");
  query = QueryFor({{"", "", true, false}}, {kNow - 600000, kNow});
  const Deadline passed(Deadline::Clock::now() - std::chrono::seconds(1));
  EXPECT_EQ(engine->SearchMetricNames(query, passed).error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(engine->SearchLabelNames(query, 10, passed).error().message(),
            "failed to search label names in indexDB \"2026_11\": deadline exceeded");
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
