#include "storage/part/raw_rows.h"

#include <algorithm>
#include <span>
#include <utility>
#include <boost/unordered/unordered_flat_map.hpp>

#include "lib/decimal/common_exponent.h"
#include "lib/decimal/decimal.h"
#include "storage/part/merge.h"

namespace vm::storage {
namespace {

struct Sample {
  int64_t timestamp;
  double value;
  uint8_t precision_bits;
};

/// A series of the rows and where its samples lie.
struct SeriesRange {
  model::Tsid tsid;
  uint32_t count = 0;
  uint32_t end = 0;
  uint32_t next = 0;  // The series of the row that came after one of this: the next scrape has the same order.
};

struct Numbered {
  model::Tsid tsid;
  uint32_t number;
};

struct HashTsid {
  // Not avalanching: the map mixes it.
  size_t operator()(const model::Tsid& tsid) const noexcept { return static_cast<size_t>(tsid.metric_id); }
};

/// Samples put together series by series, each in the order of arrival: counted and scattered, not compared.
class RowsBySeries {
 public:
  RowsBySeries(std::span<const std::vector<RawRow>> rows, size_t count) : samples_(count) {
    std::vector<uint32_t> series_of;
    series_of.reserve(count);
    boost::unordered_flat_map<model::Tsid, uint32_t, HashTsid> numbers;
    uint32_t previous = 0;
    for (const std::vector<RawRow>& piece : rows) {
      for (const RawRow& row : piece) {
        uint32_t number = series_.empty() ? 0 : series_[previous].next;
        if (series_.empty() || series_[number].tsid != row.tsid) {
          const auto [it, added] = numbers.try_emplace(row.tsid, static_cast<uint32_t>(series_.size()));
          if (added) series_.push_back({.tsid = row.tsid});
          number = it->second;
          series_[previous].next = number;
        }
        ++series_[number].count;
        series_of.push_back(number);
        previous = number;
      }
    }
    // The keys lie beside the numbers, so that comparing touches nothing else.
    order_.reserve(series_.size());
    for (uint32_t i = 0; i < series_.size(); ++i) order_.push_back({series_[i].tsid, i});
    std::sort(order_.begin(), order_.end(), [](const Numbered& a, const Numbered& b) { return a.tsid < b.tsid; });
    uint32_t at = 0;
    for (const auto& [tsid, number] : order_) {
      series_[number].end = at;  // Moves to the end as samples are put there.
      at += series_[number].count;
    }
    size_t i = 0;
    for (const std::vector<RawRow>& piece : rows) {
      for (const RawRow& row : piece) {
        samples_[series_[series_of[i++]].end++] = {row.timestamp, row.value, row.precision_bits};
      }
    }
  }

  size_t series_count() const noexcept { return order_.size(); }
  const model::Tsid& tsid(size_t i) const noexcept { return order_[i].tsid; }
  std::span<Sample> samples(size_t i) noexcept {
    const SeriesRange& range = series_[order_[i].number];
    return std::span(samples_).subspan(range.end - range.count, range.count);
  }

 private:
  std::vector<Sample> samples_;
  std::vector<SeriesRange> series_;
  std::vector<Numbered> order_;  // By TSID.
};

/// Cuts the samples of one series into blocks.
class BlockBuilder {
 public:
  BlockBuilder(PartWriter& writer, uint64_t& lossy_blocks) : writer_(writer), lossy_blocks_(lossy_blocks) {}

  Status Add(const model::Tsid& tsid, std::span<Sample> samples) {
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
                             samples[from].precision_bits, timestamps_data_, values_data_);
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

Result<PartBuffers> BuildPart(std::span<const std::vector<RawRow>> rows, uint64_t* lossy_blocks) {
  size_t count = 0;
  for (const std::vector<RawRow>& piece : rows) count += piece.size();
  VM_CHECK(count > 0);
  VM_CHECK(count < UINT32_MAX);
  RowsBySeries series(rows, count);
  PartBuffers buffers;
  const auto writer = PartWriter::ToMemory(buffers, kRawRowsLevel);
  uint64_t lossy = 0;
  BlockBuilder blocks(*writer, lossy);
  for (size_t i = 0; i < series.series_count(); ++i) VM_TRY(blocks.Add(series.tsid(i), series.samples(i)));
  VM_TRY(writer->Finish(0));
  if (lossy_blocks != nullptr) *lossy_blocks += lossy;
  return buffers;
}

}  // namespace vm::storage
