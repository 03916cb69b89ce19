#include "storage/part/raw_rows.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>
#include <boost/unordered/unordered_flat_map.hpp>

#include "lib/containers/large_array.h"
#include "lib/decimal/common_exponent.h"
#include "lib/decimal/decimal.h"
#include "storage/part/merge.h"

namespace vm::storage {
namespace {

/// Looking at a rank costs about that share of sorting a row.
constexpr size_t kRanksPerRow = 16;

struct Sample {
  int64_t timestamp;
  double value;
};

struct HashTsid {
  // Not avalanching: the map mixes it.
  size_t operator()(const model::Tsid& tsid) const noexcept { return static_cast<size_t>(tsid.metric_id); }
};

/// Samples put together series by series, each in the order of arrival: counted and scattered, not compared. A series is
/// a number: its rank, or for those that the ranks lack one more for each that comes.
class RowsBySeries {
 public:
  RowsBySeries(std::span<const std::vector<RawRow>> rows, size_t count, const SeriesRanks& known)
      : known_(known), samples_(count), ends_(known.size() + count) {
    const auto number_of = std::make_unique_for_overwrite<uint32_t[]>(count);
    size_t page = 0;
    size_t i = 0;
    for (const std::vector<RawRow>& piece : rows) {
      for (const RawRow& row : piece) {
        const uint32_t rank = known_.Find(row.tsid, page);
        const uint32_t number = rank != SeriesRanks::kNone ? rank : NumberOfNew(row.tsid);
        ++ends_[number];
        number_of[i++] = number;
        CheckPrecision(number, row.precision_bits);
      }
    }
    SortSeries();
    i = 0;
    for (const std::vector<RawRow>& piece : rows) {
      for (const RawRow& row : piece) samples_[ends_[number_of[i++]]++] = {row.timestamp, row.value};
    }
  }

  /// The series that the ranks lack.
  std::vector<model::Tsid> NewSeries() const {
    std::vector<model::Tsid> tsids;
    tsids.reserve(new_.size());
    for (const NewSeriesOfRows& series : new_) tsids.push_back(series.tsid);
    return tsids;
  }

  /// Call `visit(tsid, samples, precision_bits)` for each series, in order, until one fails.
  template <class Visit>
  Status ForEach(Visit visit) {
    size_t begin = 0;
    for (size_t i = 0; i < order_.size(); ++i) {
      const uint32_t number = order_[i];
      const size_t end = ends_[number];
      const uint8_t precision_bits = precisions_.empty() ? precision_bits_ : precisions_[number];
      VM_TRY(visit(TsidOf(number), std::span(samples_.data() + begin, end - begin), precision_bits));
      begin = end;
    }
    return Ok();
  }

 private:
  struct NewSeriesOfRows {
    model::Tsid tsid;
    uint32_t next = 0;  // The new series of the row that came after one of this: the next scrape has the same order.
  };

  uint32_t NumberOfNew(const model::Tsid& tsid) {
    uint32_t number = new_.empty() ? 0 : new_[previous_new_].next;
    if (new_.empty() || new_[number].tsid != tsid) {
      const auto [it, added] = new_numbers_.try_emplace(tsid, static_cast<uint32_t>(new_.size()));
      if (added) new_.push_back({.tsid = tsid});
      number = it->second;
      new_[previous_new_].next = number;
    }
    previous_new_ = number;
    return static_cast<uint32_t>(known_.size()) + number;
  }
  const model::Tsid& TsidOf(uint32_t number) const {
    return number < known_.size() ? known_.At(number) : new_[number - known_.size()].tsid;
  }
  /// A series has the precision of its first row. All mostly have the same.
  void CheckPrecision(uint32_t number, uint8_t precision_bits) {
    if (precision_bits_ == 0) precision_bits_ = precision_bits;
    if (precisions_.empty()) {
      if (precision_bits == precision_bits_) return;
      precisions_.assign(ends_.size(), precision_bits_);
    }
    if (ends_[number] == 1) precisions_[number] = precision_bits;
  }
  /// Put the series in order and let ends_ say where the samples of each begin.
  void SortSeries() {
    // The keys lie beside the numbers, so that comparing touches nothing else.
    struct Numbered {
      model::Tsid tsid;
      uint32_t number;
    };
    const auto first_new = static_cast<uint32_t>(known_.size());
    std::vector<Numbered> sorted;
    sorted.reserve(new_.size());
    for (uint32_t i = 0; i < new_.size(); ++i) sorted.push_back({new_[i].tsid, first_new + i});
    std::sort(sorted.begin(), sorted.end(), [](const Numbered& a, const Numbered& b) { return a.tsid < b.tsid; });
    order_.reserve(new_.size() + static_cast<size_t>(std::count_if(ends_.begin(), ends_.begin() + first_new,
                                                                   [](uint32_t count) { return count > 0; })));
    auto next_new = sorted.begin();
    for (uint32_t rank = 0; rank < first_new; ++rank) {
      if (ends_[rank] == 0) continue;
      while (next_new != sorted.end() && next_new->tsid < known_.At(rank)) order_.push_back((next_new++)->number);
      order_.push_back(rank);
    }
    for (; next_new != sorted.end(); ++next_new) order_.push_back(next_new->number);
    uint32_t at = 0;
    for (const uint32_t number : order_) at += std::exchange(ends_[number], at);  // Moves on as samples are put there.
  }

  const SeriesRanks& known_;
  containers::LargeArray<Sample> samples_;
  containers::LargeArray<uint32_t> ends_;  // By number: how many samples there are, then where they end.
  std::vector<uint32_t> order_;            // Numbers of the series that have samples, by TSID.
  std::vector<NewSeriesOfRows> new_;
  boost::unordered_flat_map<model::Tsid, uint32_t, HashTsid> new_numbers_;
  uint32_t previous_new_ = 0;
  uint8_t precision_bits_ = 0;
  std::vector<uint8_t> precisions_;  // By number, unless all have the same.
};

/// Cuts the samples of one series into blocks.
class BlockBuilder {
 public:
  BlockBuilder(PartWriter& writer, uint64_t& lossy_blocks) : writer_(writer), lossy_blocks_(lossy_blocks) {}

  Status Add(const model::Tsid& tsid, std::span<Sample> samples, uint8_t precision_bits) {
    const auto earlier = [](const Sample& a, const Sample& b) { return a.timestamp < b.timestamp; };
    // Stable, so that what equal timestamps give does not depend on chance.
    if (!std::is_sorted(samples.begin(), samples.end(), earlier)) {
      std::stable_sort(samples.begin(), samples.end(), earlier);
    }
    timestamps_.clear();
    mantissas_.clear();
    exponents_.clear();
    for (const Sample& sample : samples) {
      const decimal::Decimal d = decimal::FromFloat(sample.value);
      timestamps_.push_back(sample.timestamp);
      mantissas_.push_back(d.mantissa);
      exponents_.push_back(d.exponent);
    }
    size_t short_blocks = 0;
    for (size_t from = 0; from < samples.size();) {
      bool lossy = false;
      const size_t to = EndOfBlock(from, short_blocks >= kShortBlocksLimit, lossy);
      short_blocks = to - from < kShortBlockRows ? short_blocks + 1 : 0;
      if (lossy) ++lossy_blocks_;
      const std::span<int64_t> mantissas = std::span(mantissas_).subspan(from, to - from);
      const int16_t scale =
          decimal::ToCommonExponent(mantissas, std::span<const int16_t>(exponents_).subspan(from, to - from));
      timestamps_data_.clear();
      values_data_.clear();
      const model::BlockHeader header =
          model::EncodeBlock(tsid, std::span<const int64_t>(timestamps_).subspan(from, to - from), mantissas, scale,
                             precision_bits, timestamps_data_, values_data_);
      VM_TRY(writer_.Add({header, timestamps_data_, values_data_}));
      from = to;
    }
    return Ok();
  }

 private:
  /// A block's common exponent must not change a value that is exact alone, unless it `may_lose` digits.
  size_t EndOfBlock(size_t from, bool may_lose, bool& lossy) const {
    const size_t limit = std::min(mantissas_.size(), from + model::kMaxRowsPerBlock);
    bool has_exponent = false, mixed = false;
    int16_t exponent = 0;
    CommonScale common;
    for (size_t to = from; to < limit; ++to) {
      if (mantissas_[to] == 0 || decimal::IsSpecial(mantissas_[to])) continue;
      if (!std::exchange(has_exponent, true)) exponent = exponents_[to];
      // Values of one exponent always have it in common.
      if (!mixed && exponents_[to] == exponent) continue;
      if (!std::exchange(mixed, true)) {
        for (size_t i = from; i < to; ++i) common.Join(mantissas_[i], exponents_[i]);
      }
      if (common.Join(mantissas_[to], exponents_[to])) continue;
      if (!may_lose) return to;
      lossy = true;
      return limit;
    }
    return limit;
  }

  PartWriter& writer_;
  uint64_t& lossy_blocks_;
  std::vector<int64_t> timestamps_, mantissas_;
  std::vector<int16_t> exponents_;
  ByteBuffer timestamps_data_, values_data_;
};

}  // namespace

Result<PartBuffers> BuildPart(std::span<const std::vector<RawRow>> rows, uint64_t* lossy_blocks, SeriesOrder* order) {
  size_t count = 0;
  for (const std::vector<RawRow>& piece : rows) count += piece.size();
  VM_CHECK(count > 0);
  VM_CHECK(count < UINT32_MAX);
  auto ranks = order != nullptr ? order->ranks() : nullptr;
  // A few rows are sorted sooner than all ranks are looked at.
  const bool with_ranks = ranks != nullptr && ranks->size() / kRanksPerRow <= count;
  if (!with_ranks) ranks = std::make_shared<const SeriesRanks>();
  RowsBySeries series(rows, count, *ranks);
  PartBuffers buffers;
  const auto writer = PartWriter::ToMemory(buffers, kRawRowsLevel);
  uint64_t lossy = 0;
  BlockBuilder blocks(*writer, lossy);
  VM_TRY(series.ForEach([&](const model::Tsid& tsid, std::span<Sample> samples, uint8_t precision_bits) {
    return blocks.Add(tsid, samples, precision_bits);
  }));
  VM_TRY(writer->Finish(0));
  if (with_ranks) order->Learn(series.NewSeries());  // Else all of them look new.
  if (lossy_blocks != nullptr) *lossy_blocks += lossy;
  return buffers;
}

}  // namespace vm::storage
