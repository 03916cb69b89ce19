#include "storage/engine/metadata_store.h"

#include <gtest/gtest.h>

namespace vm::storage {
namespace {

model::MetadataRow Row(std::string name, std::string help = "", model::Tenant tenant = {}) {
  model::MetadataRow row;
  row.tenant = tenant;
  row.name = std::move(name);
  row.help = std::move(help);
  return row;
}

std::vector<std::string> Names(const std::vector<model::MetadataRow>& rows) {
  std::vector<std::string> names;
  for (const auto& row : rows) names.push_back(row.name);
  return names;
}

using Texts = std::vector<std::string>;

TEST(MetadataStoreTest, AnswersInTheOrderOfTheLastWrite) {
  MetadataStore store(1 << 20);
  const std::vector<model::MetadataRow> first = {Row("b"), Row("a"), Row("a", "", {1, 2})};
  const std::vector<model::MetadataRow> second = {Row("c"), Row("b", "new")};
  store.Add(first, 1000);
  store.Add(second, 2000);
  EXPECT_EQ(Names(store.Search(nullptr, 0, "", 2000)), (Texts{"a", "a", "b", "c"}));
  EXPECT_EQ(Names(store.Search(nullptr, 3, "", 2000)), (Texts{"a", "a", "b"}));
  const model::Tenant tenant{1, 2};
  EXPECT_EQ(Names(store.Search(&tenant, 0, "", 2000)), Texts{"a"});
  EXPECT_EQ(store.Search(nullptr, 0, "b", 2000), std::vector<model::MetadataRow>{Row("b", "new")});
  EXPECT_EQ(store.entries(), 4u);
}

TEST(MetadataStoreTest, ForgetsAfterAnHour) {
  MetadataStore store(1 << 20);
  const std::vector<model::MetadataRow> a = {Row("a")}, b = {Row("b")};
  store.Add(a, 0);
  store.Add(b, 1'800'000);
  EXPECT_EQ(store.Search(nullptr, 0, "", 3'600'000).size(), 2u);
  EXPECT_EQ(Names(store.Search(nullptr, 0, "", 3'600'001)), Texts{"b"});
  store.Add(a, 5'400'001);
  EXPECT_EQ(Names(store.Search(nullptr, 0, "", 5'400'001)), Texts{"a"});
}

TEST(MetadataStoreTest, StaysBelowItsLimit) {
  MetadataStore store(100'000);
  for (int i = 0; i < 1000; ++i) {
    const std::vector<model::MetadataRow> rows = {Row("name " + std::to_string(i), std::string(200, 'x')), Row("kept")};
    store.Add(rows, i);
    ASSERT_LE(store.size_bytes(), 100'000u);
  }
  EXPECT_GT(store.entries(), 150u);
  EXPECT_EQ(store.Search(nullptr, 0, "kept", 1000).size(), 1u);
  EXPECT_EQ(store.Search(nullptr, 0, "name 0", 1000).size(), 0u);
  const std::vector<model::MetadataRow> too_big = {Row("big", std::string(200'000, 'x'))};
  store.Add(too_big, 1000);
  EXPECT_EQ(store.entries(), 0u);
  EXPECT_EQ(store.size_bytes(), 0u);
}

}  // namespace
}  // namespace vm::storage
