#include "storage/mergeset/item_merger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>

namespace vm::mergeset {
namespace {

class Strings {
 public:
  explicit Strings(std::vector<std::string> items) : items_(std::move(items)) {}
  bool valid() const { return at_ < items_.size(); }
  ByteView item() const { return AsBytes(items_[at_]); }
  Status Next(size_t& common) {
    if (++at_ == fail_at_) return Error(ErrorCode::kIo, "gone");
    if (valid()) common = encoding::CommonPrefixSize(AsBytes(items_[at_ - 1]), item());
    return Ok();
  }
  void FailAt(size_t at) { fail_at_ = at; }

 private:
  std::vector<std::string> items_;
  size_t at_ = 0;
  size_t fail_at_ = SIZE_MAX;
};

TEST(ItemMergerTest, GivesEachItemOnceInOrder) {
  std::mt19937_64 random(7);
  for (const size_t sources_count : {0, 1, 2, 3, 5, 8, 17}) {
    for (int round = 0; round < 50; ++round) {
      std::vector<Strings> sources;
      std::set<std::string> want;
      for (size_t s = 0; s < sources_count; ++s) {
        std::set<std::string> items;
        for (size_t n = random() % 40; n > 0; --n) {
          std::string item(random() % 3 * 7, 'p');
          for (size_t c = random() % 5; c > 0; --c) item += "\0\x01" "ab\xff"[random() % 5];
          items.insert(item);
        }
        want.insert(items.begin(), items.end());
        sources.emplace_back(std::vector<std::string>(items.begin(), items.end()));
      }
      std::vector<std::string> got;
      ItemMerger merger(sources);
      while (merger.valid()) {
        const std::string item(AsText(merger.item()));
        EXPECT_EQ(merger.common(), got.empty() ? 0 : encoding::CommonPrefixSize(AsBytes(got.back()), AsBytes(item)));
        got.push_back(item);
        ASSERT_TRUE(merger.Next().ok());
      }
      ASSERT_EQ(got, std::vector<std::string>(want.begin(), want.end()));
    }
  }
}

TEST(ItemMergerTest, ErrorsOfSourcesAreGivenOn) {
  std::vector<Strings> sources = {Strings({"a", "c"}), Strings({"b", "d"})};
  sources[1].FailAt(1);
  ItemMerger merger(sources);
  EXPECT_TRUE(merger.Next().ok());
  EXPECT_EQ(AsText(merger.item()), "b");
  EXPECT_FALSE(merger.Next().ok());
}

}  // namespace
}  // namespace vm::mergeset
