// The whole storage directory at each point where the power may go: it opens, and what was durable is found by name.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "lib/decimal/decimal.h"
#include "lib/fs/fault_file_system.h"
#include "lib/model/block.h"
#include "storage/engine/engine.h"

namespace vm::storage {
namespace {

using fs::FaultFileSystem;
using fs::FileOperation;
using fs::PowerCut;

constexpr int64_t kNow = 1'795'392'000'123;  // 2026-11-23.

using Samples = std::map<std::pair<std::string, int64_t>, double>;

EngineOptions Options(FaultFileSystem& disk, const std::string& path = "/var/storage") {
  EngineOptions options;
  options.path = path;
  options.file_system = &disk;
  options.start_background = false;
  options.now_ms = [] { return kNow; };
  return options;
}

Samples Read(Engine& engine) {
  model::SearchQuery query;
  query.time_range = {kNow - 20 * model::kMsecPerDay, kNow + 1};
  query.tag_filter_groups = {{{"", ".+", false, true}}};
  query.max_metrics = 1'000'000;
  Samples samples;
  const Status status =
      engine.Search(query, Deadline(), [&](ByteView name_bytes, const model::EncodedBlock& block) -> Status {
        VM_ASSIGN_OR_RETURN(const model::MetricName name, model::MetricName::Unmarshal(name_bytes));
        model::DecodedBlock decoded;
        VM_TRY(model::DecodeBlock(block, decoded));
        std::vector<double> values;
        decimal::AppendDecimalsToFloats(values, decoded.mantissas, decoded.scale);
        for (size_t i = 0; i < values.size(); ++i) {
          EXPECT_TRUE(samples.emplace(std::pair(name.metric_group, decoded.timestamps[i]), values[i]).second);
        }
        return Ok();
      });
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message());
  return samples;
}

TEST(EnginePowerCutTest, TheStorageOpensAndHoldsWhatWasDurable) {
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/var").ok());
  Samples durable, added;
  std::set<std::string> snapshots;  // Those that were created.
  Samples in_snapshots;             // What was there when one was begun.
  uint64_t cuts = 0, snapshots_opened = 0;
  disk.SetObserver([&](const FileOperation& operation) {
    if (testing::Test::HasFailure()) return;
    SCOPED_TRACE(operation.path + " change " + std::to_string(operation.number));
    for (const PowerCut cut : {PowerCut::kDropUnsynced, PowerCut::kKeepEntries, PowerCut::kKeepAll, PowerCut::kMixed}) {
      SCOPED_TRACE(static_cast<int>(cut));
      const auto left = disk.AfterPowerCut(cut, operation.number);
      auto engine = Engine::Open(Options(*left));
      ASSERT_TRUE(engine.ok()) << engine.error().message();
      const Samples found = Read(*engine.value());
      for (const auto& [key, value] : durable) {
        const auto it = found.find(key);
        ASSERT_TRUE(it != found.end()) << "lost: " << key.first << " at " << key.second;
        EXPECT_EQ(it->second, value);
      }
      for (const auto& [key, value] : found) EXPECT_TRUE(added.contains(key)) << "made up: " << key.first;
      ++cuts;
      // Whole snapshots alone are listed, and none is lost.
      const auto listed = engine.value()->ListSnapshots();
      ASSERT_TRUE(listed.ok()) << listed.error().message();
      for (const std::string& name : snapshots) {
        EXPECT_TRUE(std::find(listed.value().begin(), listed.value().end(), name) != listed.value().end()) << name;
      }
      ASSERT_TRUE(engine.value()->Close().ok());
      // Links of others would keep old parts for ever.
      for (const char* kind : {"small", "big", "indexdb"}) {
        const std::string links = fmt::format("/var/storage/data/{}/snapshots", kind);
        if (!left->Exists(links)) continue;
        for (const fs::DirEntry& entry : left->ListDirectory(links).value()) {
          EXPECT_TRUE(std::find(listed.value().begin(), listed.value().end(), entry.name) != listed.value().end())
              << links << " holds " << entry.name;
        }
      }
      for (const std::string& name : listed.value()) {
        SCOPED_TRACE(name);
        auto snapshot = Engine::Open(Options(*left, "/var/storage/snapshots/" + name));
        ASSERT_TRUE(snapshot.ok()) << snapshot.error().message();
        const Samples kept = Read(*snapshot.value());
        for (const auto& [key, value] : in_snapshots) {
          EXPECT_TRUE(kept.contains(key)) << "the snapshot lacks " << key.first << " at " << key.second;
        }
        ++snapshots_opened;
      }
    }
  });
  for (int life = 0; life < 2; ++life) {
    auto engine = Engine::Open(Options(disk));
    ASSERT_TRUE(engine.ok()) << engine.error().message();
    for (int round = 0; round < 2; ++round) {
      std::vector<ByteBuffer> names;
      for (int series = 0; series < 2 + life; ++series) {
        const std::vector<model::LabelView> labels = {{"", series % 2 == 0 ? "even" : "odd"}, {"job", "x"}};
        names.emplace_back();
        model::MarshalMetricNameRaw(names.back(), {0, 0}, labels);
      }
      std::vector<model::MetricRow> rows;
      for (size_t series = 0; series < 2; ++series) {
        const int64_t timestamp = kNow - 1000 * (life * 10 + round) - static_cast<int64_t>(series);
        rows.push_back({names[series], timestamp, 1.5 + round});
        added.emplace(std::pair(std::string(series == 0 ? "even" : "odd"), timestamp), 1.5 + round);
      }
      EXPECT_TRUE(engine.value()->AddRows(rows).ok());
      ASSERT_TRUE(engine.value()->ForceMerge("").ok());
      durable = added;
    }
    EXPECT_EQ(Read(*engine.value()), added);
    if (life == 0) {
      in_snapshots = added;
      auto name = engine.value()->CreateSnapshot();
      ASSERT_TRUE(name.ok()) << name.error().message();
      snapshots.insert(name.value());
    } else {
      const std::string name = *snapshots.begin();
      snapshots.clear();  // It may be there until it is gone, but whole.
      ASSERT_TRUE(engine.value()->DeleteSnapshot(name).ok());
    }
    ASSERT_TRUE(engine.value()->Close().ok());
  }
  EXPECT_GT(cuts, 800u);
  EXPECT_GT(snapshots_opened, 100u);
}

TEST(EngineFaultTest, EachFailingChangeIsAnErrorThatASecondTryHeals) {
  // Nothing here may end the process: vminsert gives acknowledged rows to a storage that only fails for a moment.
  uint64_t changes = 0;
  for (uint64_t nth = 0; nth <= changes; ++nth) {
    SCOPED_TRACE(nth);
    FaultFileSystem disk;
    ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/var").ok());
    if (nth > 0) disk.FailChanges(nth, nth % 2 == 0 ? EIO : ENOSPC);
    Samples added;
    const auto open = [&] {
      auto engine = Engine::Open(Options(disk));
      if (!engine.ok()) engine = Engine::Open(Options(disk));
      EXPECT_TRUE(engine.ok()) << engine.error().message();
      return engine.ok() ? std::move(engine).value() : nullptr;
    };
    const auto twice = [](const auto& work) { return work().ok() || work().ok(); };
    {
      const auto engine = open();
      ASSERT_NE(engine, nullptr);
      for (int round = 0; round < 2; ++round) {
        ByteBuffer name;
        const std::vector<model::LabelView> labels = {{"", "m"}};
        model::MarshalMetricNameRaw(name, {0, 0}, labels);
        // A month that is new, too.
        const int64_t timestamp = kNow - round * 23 * model::kMsecPerDay;
        const model::MetricRow row{name, timestamp, 2.5};
        EXPECT_TRUE(twice([&] { return engine->AddRows({&row, 1}); }));
        if (timestamp > kNow - 20 * model::kMsecPerDay) added.emplace(std::pair(std::string("m"), timestamp), 2.5);
        if (round == 0) {
          EXPECT_TRUE(twice([&] { return engine->ForceMerge(""); }));
        }
      }
      // Without a snapshot the rows of the second month are left to Close, which tries again by itself.
      if (nth % 3 != 1) {
        EXPECT_TRUE(twice([&] { return engine->CreateSnapshot(); }));
      }
      const PartitionStats stats = engine->Stats().table;
      EXPECT_EQ(stats.small.rows + stats.inmemory.rows + stats.pending_rows, 2u);
      EXPECT_TRUE(engine->Close().ok());
    }
    const auto left = disk.AfterPowerCut(PowerCut::kDropUnsynced);
    left->SetFault({});
    auto engine = Engine::Open(Options(*left));
    ASSERT_TRUE(engine.ok()) << engine.error().message();
    EXPECT_EQ(Read(*engine.value()), added);
    if (nth == 0) changes = disk.changes();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(changes, 200u);
}

}  // namespace
}  // namespace vm::storage
