#include "storage/engine/legacy_index.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "lib/model/metric_name.h"
#include "storage/engine/engine.h"

namespace vm::storage {
namespace {

namespace stdfs = std::filesystem;

constexpr int64_t kNow = 1795392000123;  // 2026-11-23 00:00:00.123 UTC.
constexpr char kPrevious[] = "18EA24E83B59AE80";
constexpr char kCurrent[] = "18EA24E83B59AE81";

/// A directory as a version before v1.133 leaves it: its index tables hold the same records in another place.
class LegacyIndexTest : public testing::Test {
 protected:
  LegacyIndexTest() : path_(stdfs::temp_directory_path() / ("vm_legacy_" + std::to_string(getpid()))) {
    stdfs::remove_all(path_);
    {
      auto engine = Open();
      Add(*engine, "a", kNow - 2 * model::kMsecPerDay);
      Add(*engine, "b", kNow - model::kMsecPerDay);
      Add(*engine, "c", kNow - model::kMsecPerDay);
    }
    stdfs::create_directories(path_ / "indexdb");
    stdfs::rename(path_ / "data/indexdb/2026_11", path_ / "indexdb" / kCurrent);
    stdfs::remove_all(path_ / "data/indexdb");
    stdfs::remove_all(path_ / "cache");
    stdfs::remove_all(path_ / "metadata");
  }
  ~LegacyIndexTest() override { stdfs::remove_all(path_); }

  std::unique_ptr<Engine> Open() {
    EngineOptions options;
    options.path = path_.string();
    options.min_free_disk_space_bytes = 0;
    options.start_background = false;
    options.now_ms = [] { return kNow; };
    auto engine = Engine::Open(std::move(options));
    EXPECT_TRUE(engine.ok()) << engine.error().message();
    return engine.ok() ? std::move(engine).value() : nullptr;
  }
  static void Add(Engine& engine, std::string_view name, int64_t timestamp) {
    ByteBuffer raw;
    const std::vector<model::LabelView> labels = {{"", name}, {"job", "x"}};
    model::MarshalMetricNameRaw(raw, {0, 0}, labels);
    const model::MetricRow row{raw, timestamp, 1};
    EXPECT_TRUE(engine.AddRows({&row, 1}).ok());
  }
  static model::SearchQuery Query(std::vector<model::TagFilter> filters = {}) {
    model::SearchQuery query;
    query.time_range = {kNow - 10 * model::kMsecPerDay, kNow + model::kMsecPerDay};
    query.tag_filter_groups = {std::move(filters)};
    return query;
  }
  /// Metric ids by name, of all blocks.
  static std::map<std::string, std::set<uint64_t>> Ids(Engine& engine) {
    std::map<std::string, std::set<uint64_t>> ids;
    const Status status =
        engine.Search(Query(), Deadline(), [&](ByteView name, const model::EncodedBlock& block) -> Status {
          ids[model::MetricName::Unmarshal(name).value().metric_group].insert(
              static_cast<uint64_t>(block.header.tsid.metric_id));
          return Ok();
        });
    EXPECT_TRUE(status.ok()) << status.error().message();
    return ids;
  }

  const stdfs::path path_;
};

TEST_F(LegacyIndexTest, AnswersAllKindsOfQuestions) {
  auto engine = Open();
  EXPECT_EQ(Ids(*engine).size(), 3u);
  using Texts = std::vector<std::string>;
  EXPECT_EQ(engine->SearchLabelValues(Query({{"", "b", false, false}}), "job", 10, Deadline()).value(), Texts{"x"});
  EXPECT_EQ(engine->SearchLabelNames(Query({{"", "b", false, false}}), 10, Deadline()).value(),
            (Texts{"__name__", "job"}));
  EXPECT_EQ(engine->SearchMetricNames(Query({{"", "a|b", false, true}, {"job", "x", false, false}}), Deadline())
                .value()
                .size(),
            2u);
  EXPECT_EQ(engine->SeriesCount({0, 0}, Deadline()).value(), 3u);
  EXPECT_EQ(engine->SearchTenants({kNow - 2 * model::kMsecPerDay, kNow}, Deadline()).value().size(), 1u);
  auto day = Query();
  day.time_range.min_timestamp = kNow - model::kMsecPerDay;
  EXPECT_EQ(engine->GetTsdbStatus(day, "", 5, Deadline()).value().total_series, 2u);
  // Old tables may lack composite rows: those of the month alone are used.
  EXPECT_EQ(engine->Stats().index.composite_success, 1u);
}

TEST_F(LegacyIndexTest, SeriesThatGoOnKeepTheirIds) {
  auto engine = Open();
  const auto before = Ids(*engine);
  Add(*engine, "b", kNow);
  Add(*engine, "new", kNow);
  engine->ForceFlush();
  EXPECT_EQ(engine->metrics().new_timeseries_created, 1u);
  EXPECT_EQ(engine->metrics().timeseries_repopulated, 1u);
  const auto after = Ids(*engine);
  EXPECT_EQ(after.at("b"), before.at("b"));
  EXPECT_EQ(after.size(), 4u);
}

TEST_F(LegacyIndexTest, DeletionsAreKept) {
  {
    auto engine = Open();
    EXPECT_EQ(engine->DeleteSeries(Query({{"", "b", false, false}}), Deadline()).value(), 1u);
    EXPECT_EQ(Ids(*engine).count("b"), 0u);
  }
  auto engine = Open();
  EXPECT_EQ(Ids(*engine).size(), 2u);
  Add(*engine, "b", kNow);
  engine->ForceFlush();
  EXPECT_EQ(engine->metrics().new_timeseries_created, 1u);
  EXPECT_EQ(Ids(*engine).at("b").size(), 1u);
}

TEST_F(LegacyIndexTest, SnapshotsHoldThem) {
  auto engine = Open();
  const std::string name = engine->CreateSnapshot().value();
  const stdfs::path snapshot = path_ / "snapshots" / name;
  EXPECT_EQ(stdfs::read_symlink(snapshot / "indexdb"), "../../indexdb/snapshots/" + name);
  EXPECT_TRUE(stdfs::exists(snapshot / "indexdb" / kCurrent / "parts.json"));
  ASSERT_TRUE(engine->DeleteSnapshot(name).ok());
  EXPECT_FALSE(stdfs::exists(path_ / "indexdb/snapshots" / name));
  EXPECT_EQ(Ids(*engine).size(), 3u);
}

TEST_F(LegacyIndexTest, TheNextAndOlderTablesGo) {
  for (const char* name : {"0000000000000001", kPrevious, "18EA24E83B59AE82"}) {
    stdfs::copy(path_ / "indexdb" / kCurrent, path_ / "indexdb" / name, stdfs::copy_options::recursive);
  }
  stdfs::create_directories(path_ / "indexdb/18EA24E83B59AE83");  // Empty: its removal was interrupted.
  stdfs::create_directories(path_ / "indexdb/other");
  auto engine = Open();
  EXPECT_EQ(Ids(*engine).size(), 3u);
  std::set<std::string> left;
  for (const auto& entry : stdfs::directory_iterator(path_ / "indexdb")) left.insert(entry.path().filename());
  EXPECT_EQ(left, (std::set<std::string>{kPrevious, kCurrent, "other"}));
}

TEST_F(LegacyIndexTest, ADroppedTableGoesWithItsLastReader) {
  auto indexes = LegacyIndexes::Open(fs::RealFileSystem(), (path_ / "indexdb").string(), 0, nullptr);
  ASSERT_TRUE(indexes.ok());
  auto reader = indexes.value()->All();
  ASSERT_EQ(reader.size(), 1u);
  indexes.value()->DropOldest();
  EXPECT_TRUE(indexes.value()->empty());
  EXPECT_TRUE(stdfs::exists(path_ / "indexdb" / kCurrent));
  reader.clear();
  EXPECT_FALSE(stdfs::exists(path_ / "indexdb" / kCurrent));
}

TEST(LegacyDeadlineTest, IsFourInTheMorningAtMultiplesOfTheRetention) {
  constexpr int64_t kDay = 24 * 3600;
  const int64_t deadline = NextLegacyDeadline(100 * kDay, 31 * kDay, 0);
  EXPECT_EQ(deadline, 124 * kDay + 4 * 3600);
  EXPECT_EQ(NextLegacyDeadline(deadline - 1, 31 * kDay, 0), deadline);
  EXPECT_EQ(NextLegacyDeadline(100 * kDay, 31 * kDay - 5, 0), deadline);
  EXPECT_EQ(NextLegacyDeadline(100 * kDay, 31 * kDay, 2 * 3600), deadline - 2 * 3600);
}

}  // namespace
}  // namespace vm::storage
