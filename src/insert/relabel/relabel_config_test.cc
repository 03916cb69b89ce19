#include "insert/relabel/relabel_config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace vm::insert {
namespace {

class FixedClock : public sys::Clock {
 public:
  int64_t NowMs() const override { return now_ms; }
  int64_t now_ms = 1700000000123;
};

class RelabelConfigTest : public testing::Test {
 protected:
  std::string Metrics() {
    std::string text;
    registry_.Write(text);
    return text;
  }
  void ExpectMetric(std::string_view line) { EXPECT_NE(Metrics().find(std::string(line) + "\n"), std::string::npos) << line << "\n" << Metrics(); }

  Result<std::string> contents_ = std::string("- {target_label: a, replacement: b}\n");
  FixedClock clock_;
  metrics::Registry registry_;
  std::vector<std::shared_ptr<const relabel::Rules>> versions_;
  RelabelConfig config_{"rules.yml", [this](const std::string&) { return contents_; }, clock_, registry_,
                        [this](auto rules) { versions_.push_back(std::move(rules)); }};
};

TEST_F(RelabelConfigTest, TheFirstVersionIsUsedAndCounted) {
  ASSERT_TRUE(config_.Load().ok());
  ASSERT_EQ(versions_.size(), 1U);
  EXPECT_EQ(versions_[0]->size(), 1U);
  ExpectMetric("vm_relabel_config_last_reload_successful 1");
  ExpectMetric("vm_relabel_config_last_reload_success_timestamp_seconds 1700000000");
  ExpectMetric("vm_relabel_config_reloads_total 0");
}

TEST_F(RelabelConfigTest, ABrokenFirstVersionIsAnErrorThatNamesTheFile) {
  contents_ = std::string("- action: nope\n");
  EXPECT_EQ(config_.Load().error().message(),
            "error when reading -relabelConfig=\"rules.yml\": cannot unmarshal `relabel_configs` from \"rules.yml\": error "
            "when parsing `relabel_config` #1: unknown `action` \"nope\"");
  contents_ = Error(ErrorCode::kIo, "gone");
  EXPECT_EQ(config_.Load().error().message(),
            "error when reading -relabelConfig=\"rules.yml\": cannot read `relabel_configs` from \"rules.yml\": gone");
}

TEST_F(RelabelConfigTest, AReloadReplacesTheRulesWhenTheyDiffer) {
  ASSERT_TRUE(config_.Load().ok());
  config_.Reload(true);
  EXPECT_EQ(versions_.size(), 1U);
  clock_.now_ms += 5000;
  contents_ = std::string("- {target_label: a, replacement: c}\n");
  config_.Reload(true);
  EXPECT_EQ(versions_.size(), 2U);
  ExpectMetric("vm_relabel_config_reloads_total 2");
  ExpectMetric("vm_relabel_config_last_reload_success_timestamp_seconds 1700000005");
  contents_ = std::string("[]");
  config_.Reload(false);
  EXPECT_EQ(versions_.size(), 3U);
  ExpectMetric("vm_relabel_config_reloads_total 2");
}

TEST_F(RelabelConfigTest, ABrokenVersionLeavesTheOldRules) {
  ASSERT_TRUE(config_.Load().ok());
  contents_ = std::string("- [");
  config_.Reload(true);
  EXPECT_EQ(versions_.size(), 1U);
  ExpectMetric("vm_relabel_config_reloads_errors_total 1");
  ExpectMetric("vm_relabel_config_last_reload_successful 0");
  contents_ = std::string("- {target_label: a, replacement: b}\n");
  config_.Reload(true);
  EXPECT_EQ(versions_.size(), 1U);
  ExpectMetric("vm_relabel_config_last_reload_successful 1");
}

TEST_F(RelabelConfigTest, PlaceholdersAreFilledFromTheEnvironment) {
  setenv("VMTEST_RELABEL_VALUE", "x", 1);
  contents_ = std::string("- {target_label: a, replacement: '%{VMTEST_RELABEL_VALUE}%{VMTEST_NONE}'}\n");
  ASSERT_TRUE(config_.Load().ok());
  EXPECT_NE(versions_[0]->text().find("x%{VMTEST_NONE}"), std::string::npos) << versions_[0]->text();
}

TEST(ReadFileOrUrlTest, ReadsAFile) {
  net::Runtime runtime;
  const std::string path = testing::TempDir() + "/vm_relabel_config_test.yml";
  std::ofstream(path) << "- a\n";
  EXPECT_EQ(ReadFileOrUrl(runtime, path).value(), "- a\n");
  const auto missing = ReadFileOrUrl(runtime, path + ".none");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message().find("No such file"), std::string::npos);
  EXPECT_FALSE(ReadFileOrUrl(runtime, "http://127.0.0.1:1/rules.yml").ok());
  runtime.Stop();
}

}  // namespace
}  // namespace vm::insert
