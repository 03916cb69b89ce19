#include "storage/indexdb/indexdb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "lib/regex/regex.h"
#include "storage/indexdb/filters.h"
#include "storage/indexdb/recent_names.h"
#include "storage/indexdb/records.h"

namespace vm::indexdb {
namespace {

namespace stdfs = std::filesystem;
using testing::ElementsAre;

constexpr int64_t kDay = 20778;
constexpr model::TimeRange kMonth{.min_timestamp = 20773 * model::kMsecPerDay,
                                  .max_timestamp = 20803 * model::kMsecPerDay - 1};

std::string TempDir(const std::string& name) {
  const std::string dir = testing::TempDir() + "vm_indexdb_" + name;
  stdfs::remove_all(dir);
  return dir;
}

std::string Blankless(std::string text) {
  std::erase(text, ' ');
  return text;
}

model::MetricName Name(std::string_view group, std::vector<model::Tag> tags) {
  model::MetricName name;
  name.metric_group = group;
  name.tags = std::move(tags);
  name.SortTags();
  return name;
}

TEST(Records, TagRowsOfTheWorkedExamples) {
  const auto rows = [](const model::MetricName& name, uint64_t id) {
    mergeset::ItemRun tails, items;
    AppendTagKeys(tails, name);
    std::vector<std::string> hex;
    for (size_t i = 0; i < tails.size(); ++i) {
      items.Add(RecordPrefix(RecordKind::kTagToIds, {}), tails.Item(i), {&id, 1});
      hex.push_back(ToHex(items.Item(i)));
    }
    return hex;
  };
  const auto foo = rows(Name("foo", {{"job", "a"}}), 0x18ea24e309263ead);
  EXPECT_EQ(foo[0], Blankless("01 00000000 00000000 01 666f6f 01 18ea24e309263ead"));
  EXPECT_EQ(foo[2], Blankless("01 00000000 00000000 fe 03 666f6f 6a6f62 01 61 01 18ea24e309263ead"));
  const auto escaped = rows(Name("x", {{"t", std::string("a\0b\1c\2d", 7)}}), 0x18ea24e309263eb7);
  EXPECT_EQ(escaped[1], Blankless("01 00000000 00000000 74 01 61 0030 62 0031 63 0032 64 01 18ea24e309263eb7"));
  EXPECT_EQ(rows(Name("a.b.c", {}), 0x18ea24e309263eb5)[1],
            Blankless("01 00000000 00000000 ff 01 632e622e61 01 18ea24e309263eb5"));
}

TEST(Records, RowsOfOneTagAreJoinedButFirstAndLast) {
  mergeset::ItemBlock block;
  mergeset::ItemRun tails, items;
  AppendTagKeys(tails, Name("m", {}));
  for (uint64_t id = 1; id <= 5; ++id) {
    items.Add(RecordPrefix(RecordKind::kTagToIds, {}), tails.Item(0), {&id, 1});
  }
  for (size_t i = 0; i < items.size(); ++i) block.Add(items.Item(i));
  MergeTagRows(block);
  ASSERT_EQ(block.size(), 3u);
  EXPECT_EQ(ToHex(block.Item(1)), Blankless("01 00000000 00000000 01 6d 01 0000000000000002 0000000000000003"
                                            "0000000000000004"));
}

class IndexDbTest : public testing::Test {
 protected:
  void Open() {
    auto db = IndexDb::Open(dir_, "2026_11", {.time_range = kMonth});
    ASSERT_TRUE(db.ok()) << db.error().message();
    db_ = std::move(db).value();
  }
  void Fill() {
    Open();
    Create(1, Name("foo", {{"job", "a"}, {"instance", "h:1"}}));
    Create(2, Name("foo", {{"job", "b"}}));
    Create(3, Name("foo", {{"job", "ab"}, {"x", "y"}}));
    Create(4, Name("bar.baz", {{"job", "a"}}));
    Create(5, Name("", {{"job", "z"}}));
  }
  void Create(uint64_t id, const model::MetricName& name) {
    ASSERT_TRUE(db_->CreateSeries(name, {.metric_group_id = 7, .metric_id = static_cast<model::MetricId>(id)}, kDay).ok());
  }
  std::vector<int> Find(std::vector<model::TagFilter> filters, bool global = false) {
    const model::TimeRange range =
        global ? kMonth : model::TimeRange{kDay * model::kMsecPerDay, kDay * model::kMsecPerDay + 1};
    const auto ids = db_->SearchMetricIds({}, {std::move(filters)}, range, 0, {});
    EXPECT_TRUE(ids.ok());
    std::vector<int> result;
    for (const model::MetricId id : ids.value()) result.push_back(static_cast<int>(id));
    return result;
  }
  static model::TagFilter F(std::string key, std::string_view op, std::string value) {
    return {std::move(key), std::move(value), op[0] == '!', op[1] == '~'};
  }

  const std::string dir_ = TempDir("db");
  std::unique_ptr<IndexDb> db_;
};

TEST_F(IndexDbTest, FiltersSelectInMemoryOnDiskAndAfterReopening) {
  Fill();
  for (int state = 0; state < 3; ++state) {
    if (state == 1) {
      ASSERT_TRUE(db_->FlushToDisk().ok());
    }
    if (state == 2) {
      db_.reset();
      Open();
    }
    for (const bool global : {false, true}) {
      EXPECT_THAT(Find({F("", "==", "foo")}, global), ElementsAre(1, 2, 3));
      EXPECT_THAT(Find({F("__name__", "==", "foo"), F("job", "=~", "a.*")}, global), ElementsAre(1, 3));
      EXPECT_THAT(Find({F("", "==", "foo"), F("job", "!=", "a")}, global), ElementsAre(2, 3));
      EXPECT_THAT(Find({F("job", "!~", "a|b")}, global), ElementsAre(3, 5));
      EXPECT_THAT(Find({F("instance", "==", "")}, global), ElementsAre(2, 3, 4, 5));
      EXPECT_THAT(Find({F("instance", "!=", "")}, global), ElementsAre(1));
      EXPECT_THAT(Find({F("x", "=~", "|q")}, global), ElementsAre(1, 2, 4, 5));
      EXPECT_THAT(Find({F("x", "=~", "|y")}, global), ElementsAre(1, 2, 3, 4, 5));
      EXPECT_THAT(Find({F("job", "!~", "|a")}, global), ElementsAre(2, 3, 5));
      EXPECT_THAT(Find({F("job", "=~", "[ab]")}, global), ElementsAre(1, 2, 4));
      EXPECT_THAT(Find({F("job", "!~", ".*")}, global), ElementsAre());
      EXPECT_THAT(Find({F("x", "=~", ".+")}, global), ElementsAre(3));
      EXPECT_THAT(Find({}, global), ElementsAre(1, 2, 3, 4));  // The fifth has no metric name.
      EXPECT_THAT(Find({F("nothing", "==", "")}, global), ElementsAre(1, 2, 3, 4, 5));
    }
  }
}

/// What a filter means, straight from the documentation of PromQL; but as in the reference `!~".*"` lets series
/// without the label pass.
bool MatchesNaively(const model::MetricName& name, const model::TagFilter& filter) {
  std::string value;
  if (filter.key.empty() || filter.key == "__name__") value = name.metric_group;
  for (const model::Tag& tag : name.tags) {
    if (tag.key == filter.key) value = tag.value;
  }
  if (filter.is_regexp && filter.is_negative && filter.value == ".*") return value.empty();
  const bool matches = filter.is_regexp ? regex::Regex::Compile(filter.value).value().Match(value) : value == filter.value;
  return matches != filter.is_negative;
}

TEST(IndexDbSearch, AgreesWithTheMeaningOfFilters) {
  std::mt19937 random(7);
  const auto pick = [&](const std::vector<std::string>& from) { return from[random() % from.size()]; };
  for (const uint64_t min_scan_steps : {uint64_t{1}, uint64_t{60}, uint64_t{10'000}}) {
    auto opened = IndexDb::Open(TempDir("random"), "2026_11", {.time_range = kMonth, .min_scan_steps = min_scan_steps});
    ASSERT_TRUE(opened.ok());
    IndexDb& db = *opened.value();
    std::vector<model::MetricName> names;
    for (uint64_t id = 1; id <= 400; ++id) {
      std::vector<model::Tag> tags;
      if (random() % 4 != 0) tags.push_back({"job", pick({"a", "b", "ab", "abc", "x"})});
      if (random() % 3 != 0) tags.push_back({"instance", "host-" + std::to_string(random() % 50)});
      if (random() % 10 == 0) tags.push_back({"rare", pick({"1", "2"})});
      tags.push_back({"id", std::to_string(id)});
      names.push_back(Name(pick({"foo", "bar", "foo.bar.baz", "foo.qux", "f"}), tags));
      const model::Tsid tsid{.metric_id = static_cast<model::MetricId>(id)};
      ASSERT_TRUE(db.CreateSeries(names.back(), tsid, kDay).ok());
      if (id == 200) {
        ASSERT_TRUE(db.FlushToDisk().ok());
      }
    }
    const std::vector<std::string> values = {"", "a", "ab", "foo", "1", "x", "foo.bar.baz", "host-1"};
    const std::vector<std::string> regexps = {"a|b",      "a.*",  ".+", ".*", "|a",          "|ab?", "foo.*|bar", ".*b.*",
                                              "host-[1-3]", "[12]", "x?", "f",  "(foo|bar).*", "foo|bar"};
    for (int round = 0; round < 600; ++round) {
      std::vector<model::TagFilter> group;
      const size_t count = 1 + random() % 4;
      for (size_t i = 0; i < count; ++i) {
        const bool is_regexp = random() % 2 == 0;
        group.push_back({pick({"", "__name__", "job", "instance", "rare", "none"}), pick(is_regexp ? regexps : values),
                         random() % 2 == 0, is_regexp});
      }
      std::vector<uint64_t> want;
      for (uint64_t id = 1; id <= names.size(); ++id) {
        const bool all = std::all_of(group.begin(), group.end(),
                                     [&](const auto& filter) { return MatchesNaively(names[id - 1], filter); });
        if (all) want.push_back(id);
      }
      const model::TimeRange day{kDay * model::kMsecPerDay, kDay * model::kMsecPerDay + 1};
      for (const model::TimeRange& range : {day, kMonth}) {
        const auto got = db.SearchMetricIds({}, {group}, range, 0, {});
        ASSERT_TRUE(got.ok()) << got.error().message();
        std::vector<uint64_t> ids;
        for (const model::MetricId id : got.value()) ids.push_back(static_cast<uint64_t>(id));
        ASSERT_EQ(ids, want) << FiltersToString({}, group);
        std::set<std::string> jobs, labels;
        for (const uint64_t id : want) {
          labels.insert("__name__");
          for (const model::Tag& tag : names[id - 1].tags) {
            labels.insert(tag.key);
            if (tag.key == "job") jobs.insert(tag.value);
          }
        }
        const auto found_jobs = db.SearchLabelValues({}, "job", {group}, range, 1000, 0, {});
        ASSERT_TRUE(found_jobs.ok());
        ASSERT_EQ(found_jobs.value(), std::vector<std::string>(jobs.begin(), jobs.end())) << FiltersToString({}, group);
        const auto found_labels = db.SearchLabelNames({}, {group}, range, 1000, 0, {});
        ASSERT_TRUE(found_labels.ok());
        ASSERT_EQ(found_labels.value(), std::vector<std::string>(labels.begin(), labels.end()))
            << FiltersToString({}, group);
      }
    }
    EXPECT_GT(db.Figures().composite_success, 0u);
    EXPECT_GT(db.Figures().composite_missing, 0u);
  }
}

TEST_F(IndexDbTest, FindsGraphitePaths) {
  Open();
  uint64_t id = 0;
  for (const char* path : {"a.b.c", "a.b.d", "a.x.c", "a.b", "q.b.c", "a.b.cc"}) Create(++id, Name(path, {{"job", "g"}}));
  const auto find = [&](std::string query, bool negative = false) {
    return Find({{"__graphite__", std::move(query), negative, false}});
  };
  EXPECT_THAT(find("a.b.c"), ElementsAre(1));
  EXPECT_THAT(find("a.*.c"), ElementsAre(1, 3));
  EXPECT_THAT(find("a.b.*"), ElementsAre(1, 2, 6));
  EXPECT_THAT(find("*.{b,x}.[cd]"), ElementsAre(1, 2, 3, 5));
  EXPECT_THAT(find("a.(b|x).(.*)"), ElementsAre(1, 2, 3, 6));
  EXPECT_THAT(find("a.b.c{,c}"), ElementsAre(1, 6));
  EXPECT_THAT(find("a.*"), ElementsAre(4));
  EXPECT_THAT(find("nothing.*"), ElementsAre());
  EXPECT_THAT(find("a.b.*", true), ElementsAre(3, 4, 5));
  EXPECT_THAT(Find({{"__graphite__", "a.b.*", false, false}, F("job", "==", "g")}), ElementsAre(1, 2, 6));
  EXPECT_THAT(db_->SearchMetricIds({}, {{{"__graphite__", "a.b.*", false, false}}}, kMonth, 3, {}).error().message(),
              testing::HasSubstr("more than maxPaths=3 suffixes found"));
}

TEST_F(IndexDbTest, RemembersWhatFiltersSelectedUntilSomethingNewComes) {
  Fill();
  EXPECT_THAT(Find({F("", "==", "foo")}), ElementsAre(1, 2, 3));
  EXPECT_THAT(Find({F("", "==", "foo")}), ElementsAre(1, 2, 3));
  CacheFigures figures = db_->Figures().filter_cache;
  EXPECT_EQ(figures.requests, 2u);
  EXPECT_EQ(figures.misses, 1u);
  EXPECT_EQ(figures.entries, 1u);
  Create(6, Name("foo", {{"job", "new"}}));
  EXPECT_THAT(Find({F("", "==", "foo")}), ElementsAre(1, 2, 3, 6));
  EXPECT_THAT(db_->SearchMetricIds({}, {{F("", "==", "foo")}}, kMonth, 2, {}).error().message(),
              testing::StartsWith("the number of matching timeseries exceeds 2;"));
  // Deleted series are taken away also from what is remembered.
  ASSERT_TRUE(db_->DeleteSeries({}, {{F("job", "==", "new")}}, 0, {}).ok());
  EXPECT_THAT(Find({F("", "==", "foo")}), ElementsAre(1, 2, 3));
}

TEST_F(IndexDbTest, NewSeriesDoNotMakeSearchesForgetWhatTheyKnow) {
  Fill();
  const std::vector<FilterGroups> queries = {
      {{F("", "==", "foo")}},
      {{F("", "=~", "foo|bar.*"), F("job", "!=", "a")}},
      {{F("", "==", "foo"), F("job", "=~", "n.+")}, {F("instance", "==", "h:9")}},
      {{F("job", "!~", "n.*|")}},
      {{F("nothing", "==", "")}},
      {{}},
  };
  const model::TimeRange day{kDay * model::kMsecPerDay, (kDay + 1) * model::kMsecPerDay - 1};
  const model::TimeRange next{(kDay + 1) * model::kMsecPerDay, (kDay + 2) * model::kMsecPerDay - 1};
  const auto search = [&](const FilterGroups& groups, const model::TimeRange& range) {
    return db_->SearchMetricIds({}, groups, range, 0, {}).value();
  };
  for (const auto& groups : queries) {
    for (const auto& range : {kMonth, day, next}) search(groups, range);
  }
  const CacheFigures before = db_->Figures().filter_cache;
  ASSERT_EQ(before.entries, 3 * queries.size());
  const auto add = [&](uint64_t id) {
    const auto name = Name(id % 3 == 0 ? "foo" : id % 3 == 1 ? "bar.x" : "", {{"instance", id % 2 == 0 ? "h:9" : "h:8"},
                                                                             {"job", id % 5 == 0 ? "a" : "new"}});
    Create(id, name);
    if (id % 4 == 0) {
      ASSERT_TRUE(db_->AddDate(name, {.metric_id = model::MetricId{id}}, kDay + 1).ok());
    }
  };
  for (uint64_t id = 10; id < 40; ++id) {
    add(id);
    for (const auto& groups : queries) {
      for (const auto& range : {kMonth, day, next}) search(groups, range);
    }
  }
  EXPECT_EQ(db_->Figures().filter_cache.misses, before.misses) << "all was found in the cache";

  std::vector<std::vector<model::MetricId>> remembered;
  for (const auto& groups : queries) {
    for (const auto& range : {kMonth, day, next}) remembered.push_back(search(groups, range));
  }
  // Without the cache.
  ASSERT_TRUE(db_->Close().ok());
  Open();
  for (const auto& groups : queries) {
    for (const auto& range : {kMonth, day, next}) {
      EXPECT_EQ(remembered.front(), search(groups, range)) << &groups - queries.data();
      remembered.erase(remembered.begin());
    }
  }

  // More than is remembered about: the search is made anew.
  const size_t named = search({{}}, kMonth).size();
  const uint64_t misses = db_->Figures().filter_cache.misses;
  for (uint64_t id = 100; id < 100 + 20'000; ++id) Create(id, Name("many", {{"n", std::to_string(id)}}));
  EXPECT_EQ(search({{F("", "==", "many")}}, kMonth).size(), 20'000u);
  EXPECT_EQ(search({{}}, kMonth).size(), named + 20'000u);
  EXPECT_EQ(db_->Figures().filter_cache.misses, misses + 2);
}

TEST(IdCacheTest, ForgetsTheLeastRecentlyUsed) {
  IdCache cache(10'000);
  const auto ids = std::make_shared<const std::vector<uint64_t>>(100);
  for (int i = 0; i < 20; ++i) {
    cache.Put(std::to_string(i), 1, ids);
    EXPECT_TRUE(cache.Get("0").ids);
  }
  EXPECT_TRUE(cache.Get("19").ids);
  EXPECT_FALSE(cache.Get("1").ids);
  EXPECT_LE(cache.figures().size_bytes, 10'000u);
  cache.Put("0", 2, ids);
  cache.Put("0", 1, ids);
  EXPECT_EQ(cache.Get("0").generation, 2u) << "what a slower search found does not replace it";
  cache.Put("big", 1, std::make_shared<const std::vector<uint64_t>>(10'000));
  EXPECT_FALSE(cache.Get("big").ids);
}

TEST_F(IndexDbTest, OtherDaysHaveOtherSeries) {
  Fill();
  const model::TimeRange next{(kDay + 1) * model::kMsecPerDay, (kDay + 2) * model::kMsecPerDay - 1};
  const FilterGroups foo{{F("", "==", "foo")}};
  EXPECT_TRUE(db_->SearchMetricIds({}, foo, next, 0, {}).value().empty());
  ASSERT_TRUE(db_->AddDate(Name("foo", {{"job", "b"}}), {.metric_group_id = 7, .metric_id = model::MetricId{2}}, kDay + 1).ok());
  EXPECT_THAT(db_->SearchMetricIds({}, foo, next, 0, {}).value(), ElementsAre(model::MetricId{2}));
  ASSERT_TRUE(db_->FlushToDisk().ok());
  EXPECT_TRUE(db_->HasDate({}, kDay + 1, model::MetricId{2}).value());
  EXPECT_FALSE(db_->HasDate({}, kDay + 1, model::MetricId{1}).value());
  EXPECT_TRUE(db_->SearchMetricIds({.account_id = 1}, foo, kMonth, 0, {}).value().empty());
}

TEST_F(IndexDbTest, NamesLabelsAndCounts) {
  Fill();
  const auto name = Name("foo", {{"job", "a"}, {"instance", "h:1"}});
  const auto tsid = db_->GetTsidByName(kDay, name);
  ASSERT_TRUE(tsid.ok() && tsid.value());
  EXPECT_EQ(tsid.value()->metric_id, model::MetricId{1});
  EXPECT_FALSE(db_->GetTsidByName(kDay + 1, name).value());
  EXPECT_EQ(model::MetricName::Unmarshal(*db_->GetMetricName({}, model::MetricId{1}).value()).value(), name);
  EXPECT_FALSE(db_->GetMetricName({}, model::MetricId{9}).value());
  EXPECT_EQ(db_->GetTsidsByMetricIds({}, {model::MetricId{1}, model::MetricId{9}}, {}).value().size(), 1u);
  EXPECT_THAT(db_->SearchLabelNames({}, {}, kMonth, 100, 0, {}).value(), ElementsAre("__name__", "instance", "job", "x"));
  EXPECT_THAT(db_->SearchLabelNames({}, {{F("", "==", "bar.baz")}}, kMonth, 100, 0, {}).value(), ElementsAre("__name__", "job"));
  EXPECT_THAT(db_->SearchLabelValues({}, "job", {}, kMonth, 100, 0, {}).value(), ElementsAre("a", "ab", "b", "z"));
  EXPECT_THAT(db_->SearchLabelValues({}, "__name__", {{F("job", "==", "a")}}, kMonth, 100, 0, {}).value(),
              ElementsAre("bar.baz", "foo"));
  EXPECT_EQ(db_->SeriesCount({}, {}).value(), 5u);
  const auto tenants = db_->SearchTenants({0, INT64_MAX}, {});
  ASSERT_TRUE(tenants.ok());
  EXPECT_EQ(tenants.value().size(), 1u);
}

TEST_F(IndexDbTest, LimitAndDeletion) {
  Fill();
  const auto limited = db_->SearchMetricIds({}, {{F("", "==", "foo")}}, kMonth, 2, {});
  ASSERT_FALSE(limited.ok());
  EXPECT_EQ(limited.error().code(), ErrorCode::kLimitExceeded);
  EXPECT_THAT(limited.error().message(), testing::StartsWith("the number of matching timeseries exceeds 2; either"));
  EXPECT_THAT(Find({F("job", "=~", "a(")}), ElementsAre());  // Taken literally.
  EXPECT_EQ(db_->DeleteSeries({}, {{F("job", "==", "a")}}, 0, {}).value().size(), 2u);
  ASSERT_TRUE(db_->Close().ok());
  Open();
  EXPECT_TRUE(db_->IsDeleted(model::MetricId{4}));
  EXPECT_THAT(Find({}), ElementsAre(2, 3));
  EXPECT_FALSE(db_->GetTsidByName(kDay, Name("bar.baz", {{"job", "a"}})).value());
}

TEST(Golden, NamesAreThoseOfTheExports) {
  const stdfs::path root = stdfs::path(VM_SHARED_DIR) / "golden" / "disk";
  if (!stdfs::exists(root)) GTEST_SKIP() << "golden directories are absent";
  const FilterGroups everything{{{"no such label", "", false, false}}};
  size_t checked = 0;
  for (const auto& golden : stdfs::directory_iterator(root)) {
    const stdfs::path tables = golden.path() / "data" / "data" / "indexdb";
    if (!stdfs::exists(tables) || !stdfs::exists(golden.path() / "export.jsonl")) continue;
    std::set<std::map<std::string, std::string>> expected;
    size_t not_text = 0;
    std::ifstream lines(golden.path() / "export.jsonl");
    for (std::string line; std::getline(lines, line);) {
      if (line.empty()) continue;
      const auto json = nlohmann::json::parse(line, nullptr, false);
      if (json.is_discarded()) {  // Labels that are no UTF-8.
        ++not_text;
        continue;
      }
      auto labels = json["metric"].get<std::map<std::string, std::string>>();
      labels["(tenant)"] = json["tenant"].get<std::string>();
      expected.insert(std::move(labels));
    }
    std::set<std::map<std::string, std::string>> found;
    for (const auto& month : stdfs::directory_iterator(tables)) {
      if (month.path().filename() == "snapshots") continue;
      const std::string copy = TempDir("golden");
      stdfs::copy(month.path(), copy, stdfs::copy_options::recursive);
      auto db = IndexDb::Open(copy, month.path().filename(), {.time_range = kMonth});
      ASSERT_TRUE(db.ok()) << db.error().message();
      const auto tenants = db.value()->SearchTenants({0, INT64_MAX}, {});
      ASSERT_TRUE(tenants.ok()) << tenants.error().message();
      for (const model::Tenant& tenant : tenants.value()) {
        const auto ids = db.value()->SearchMetricIds(tenant, everything, kMonth, 0, {});
        ASSERT_TRUE(ids.ok()) << ids.error().message();
        for (const model::MetricId id : ids.value()) {
          const auto bytes = db.value()->GetMetricName(tenant, id);
          ASSERT_TRUE(bytes.ok()) << bytes.error().message();
          if (!bytes.value()) continue;  // Dropped as too long.
          const auto name = model::MetricName::Unmarshal(*bytes.value());
          ASSERT_TRUE(name.ok()) << name.error().message();
          std::map<std::string, std::string> labels;
          if (!name.value().metric_group.empty()) labels["__name__"] = name.value().metric_group;
          for (const model::Tag& tag : name.value().tags) labels[tag.key] = tag.value;
          labels["(tenant)"] = std::to_string(tenant.account_id) + ":" + std::to_string(tenant.project_id);
          found.insert(std::move(labels));
        }
      }
      ++checked;
    }
    EXPECT_EQ(found.size(), expected.size() + not_text) << golden.path();
    EXPECT_TRUE(std::includes(found.begin(), found.end(), expected.begin(), expected.end())) << golden.path();
  }
  EXPECT_GT(checked, 0u);
}

TEST(RecentNamesTest, KeepsNamesUntilTheirSetIsWritten) {
  RecentNames names;
  const auto tsid = [](uint64_t id) {
    model::Tsid t;
    t.metric_id = static_cast<model::MetricId>(id);
    return t;
  };
  EXPECT_FALSE(names.Find(AsBytes("a"), 0));
  names.Put(AsBytes("a"), tsid(1), 1);
  names.Put(AsBytes("b"), tsid(2), 2);
  names.Put(AsBytes("a"), tsid(3), 2);  // Created anew.
  names.Put(AsBytes("c"), tsid(4), 1);  // Read its epoch before the set changed.
  EXPECT_EQ(names.Find(AsBytes("a"), 0), tsid(3));
  EXPECT_EQ(names.Find(AsBytes("c"), 0), tsid(4));
  EXPECT_EQ(names.Find(AsBytes("b"), 1), tsid(2));
  EXPECT_EQ(names.Find(AsBytes("a"), 1), tsid(3));
  EXPECT_FALSE(names.Find(AsBytes("a"), 2));
  EXPECT_FALSE(names.Find(AsBytes("b"), 2));
}

}  // namespace
}  // namespace vm::indexdb
