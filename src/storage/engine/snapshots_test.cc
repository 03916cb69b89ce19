#include <gtest/gtest.h>
#include <sys/stat.h>
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

class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest()
      : path_(stdfs::temp_directory_path() / ("vm_snapshots_" + std::to_string(getpid()))) {
    stdfs::remove_all(path_);
  }
  ~SnapshotTest() override { stdfs::remove_all(path_); }

  std::unique_ptr<Engine> Open(const stdfs::path& path) {
    EngineOptions options;
    options.path = path.string();
    options.min_free_disk_space_bytes = 0;
    options.start_background = false;
    options.now_ms = [this] { return now_; };
    auto engine = Engine::Open(std::move(options));
    EXPECT_TRUE(engine.ok()) << engine.error().message();
    return engine.ok() ? std::move(engine).value() : nullptr;
  }
  static void Add(Engine& engine, std::string_view name, int64_t timestamp) {
    ByteBuffer raw;
    const std::vector<model::LabelView> labels = {{"", name}};
    model::MarshalMetricNameRaw(raw, {0, 0}, labels);
    const model::MetricRow row{raw, timestamp, 1};
    EXPECT_TRUE(engine.AddRows({&row, 1}).ok());
  }
  static std::map<std::string, size_t> BlocksBySeries(Engine& engine) {
    model::SearchQuery query;
    query.time_range = {0, kNow + model::kMsecPerDay};
    query.tag_filter_groups = {{}};
    std::map<std::string, size_t> blocks;
    const Status status = engine.Search(query, Deadline(), [&](ByteView name, const model::EncodedBlock&) -> Status {
      ++blocks[model::MetricName::Unmarshal(name).value().metric_group];
      return Ok();
    });
    EXPECT_TRUE(status.ok());
    return blocks;
  }

  const stdfs::path path_;
  int64_t now_ = kNow;
};

TEST_F(SnapshotTest, HoldsWhatWasThereAndOpensAsAStorage) {
  auto engine = Open(path_);
  Add(*engine, "before", kNow);
  Add(*engine, "last_month", kNow - 25 * model::kMsecPerDay);
  const auto name = engine->CreateSnapshot();
  ASSERT_TRUE(name.ok()) << name.error().message();
  EXPECT_EQ(name.value().substr(0, 15), "20261123000000-");
  Add(*engine, "after", kNow);
  ASSERT_TRUE(engine->ForceMerge("").ok());
  EXPECT_EQ(engine->ListSnapshots().value(), std::vector<std::string>{name.value()});

  const stdfs::path snapshot = path_ / "snapshots" / name.value();
  EXPECT_EQ(stdfs::read_symlink(snapshot / "data/small"), "../../../data/small/snapshots/" + name.value());
  EXPECT_EQ(stdfs::read_symlink(snapshot / "data/indexdb"), "../../../data/indexdb/snapshots/" + name.value());
  EXPECT_TRUE(stdfs::exists(snapshot / "metadata/minTimestampForCompositeIndex"));
  EXPECT_TRUE(stdfs::exists(snapshot / "data/small/2026_11/parts.json"));
  EXPECT_TRUE(stdfs::exists(snapshot / "data/indexdb/2026_11/parts.json"));
  EXPECT_TRUE(stdfs::is_directory(snapshot / "data/big/2026_11"));
  EXPECT_FALSE(stdfs::exists(snapshot / "data/big/2026_11/parts.json"));

  const stdfs::path copy = path_.string() + "_copy";
  stdfs::remove_all(copy);
  stdfs::copy(snapshot, copy, stdfs::copy_options::recursive);
  {
    auto restored = Open(copy);
    EXPECT_EQ(BlocksBySeries(*restored), (std::map<std::string, size_t>{{"before", 1}, {"last_month", 1}}));
    ASSERT_TRUE(restored->Close().ok());
  }
  stdfs::remove_all(copy);

  EXPECT_EQ(engine->DeleteSnapshot("nothing").error().message(), "cannot find snapshot \"nothing\"");
  ASSERT_TRUE(engine->DeleteSnapshot(name.value()).ok());
  EXPECT_TRUE(engine->ListSnapshots().value().empty());
  EXPECT_FALSE(stdfs::exists(path_ / "data/small/snapshots" / name.value()));
  EXPECT_FALSE(stdfs::exists(path_ / "data/indexdb/snapshots" / name.value()));
  EXPECT_TRUE(stdfs::exists(path_ / "data/small/snapshots"));
  EXPECT_EQ(BlocksBySeries(*engine).size(), 3u);
}

TEST_F(SnapshotTest, OldOnesGo) {
  auto engine = Open(path_);
  const std::string first = engine->CreateSnapshot().value();
  now_ += model::kMsecPerDay;
  const std::string second = engine->CreateSnapshot().value();
  stdfs::create_directories(path_ / "snapshots/not-one");
  ASSERT_TRUE(engine->DeleteStaleSnapshots(2 * model::kMsecPerDay).ok());
  EXPECT_EQ(engine->ListSnapshots().value(), (std::vector<std::string>{first, second}));
  now_ += model::kMsecPerDay + 1000;
  ASSERT_TRUE(engine->DeleteStaleSnapshots(2 * model::kMsecPerDay).ok());
  EXPECT_EQ(engine->ListSnapshots().value(), std::vector<std::string>{second});
  ASSERT_TRUE(engine->Close().ok());
  engine = Open(path_);
  EXPECT_EQ(engine->ListSnapshots().value(), std::vector<std::string>{second});
}

}  // namespace
}  // namespace vm::storage
