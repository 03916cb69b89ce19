#include "storage/part/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "lib/decimal/decimal.h"
#include "lib/model/dedup.h"

namespace vm::storage {
namespace {

using model::BlockHeader;
using model::DecodedBlock;
using model::EncodedBlock;

// A block with this many encoded bytes of values is full, however few rows it has.
constexpr size_t kFullValuesSize = 64 * 1024;

/// One source with its next block, checked against what its metadata say.
class Source {
 public:
  explicit Source(std::shared_ptr<const PartReader> part) : part_(part), search_(std::move(part)) {}

  Result<bool> Next() {
    VM_ASSIGN_OR_RETURN(const bool found, search_.Next());
    const PartHeader& totals = part_->header();
    if (!found) {
      if (rows_ == totals.rows_count && blocks_ == totals.blocks_count) return false;
      return Broken(fmt::format("it holds {} rows in {} blocks; want {} rows in {} blocks", rows_, blocks_,
                                totals.rows_count, totals.blocks_count));
    }
    const BlockHeader& h = block().header;
    rows_ += h.rows_count;
    ++blocks_;
    if (blocks_ > 1 && h.tsid < previous_) return Broken("blocks are not sorted by tsid");
    previous_ = h.tsid;
    if (h.min_timestamp < totals.min_timestamp || h.max_timestamp > totals.max_timestamp) {
      return Broken(fmt::format("a block of [{}, {}] is outside of the part's [{}, {}]", h.min_timestamp,
                                h.max_timestamp, totals.min_timestamp, totals.max_timestamp));
    }
    return true;
  }
  const EncodedBlock& block() const { return search_.block(); }
  const std::string& path() const { return part_->path(); }

 private:
  Error Broken(std::string what) const {
    return Error(ErrorCode::kCorrupted, "cannot merge part \"" + part_->path() + "\": " + std::move(what));
  }

  std::shared_ptr<const PartReader> part_;
  PartSearch search_;
  model::Tsid previous_;
  uint64_t rows_ = 0;
  uint64_t blocks_ = 0;
};

/// Which source has the block that comes next: by TSID, then time, then number.
class SourceHeap {
 public:
  bool empty() const noexcept { return entries_.empty(); }
  size_t top() const noexcept { return entries_.front().source; }

  void Push(const BlockHeader& header, size_t source) {
    entries_.push_back({header.tsid, header.min_timestamp, source});
    size_t at = entries_.size() - 1;
    while (at > 0 && entries_[at].Before(entries_[(at - 1) / 2])) {
      std::swap(entries_[at], entries_[(at - 1) / 2]);
      at = (at - 1) / 2;
    }
  }
  /// The source on top has moved on to this block.
  void ReplaceTop(const BlockHeader& header) {
    entries_.front() = {header.tsid, header.min_timestamp, entries_.front().source};
    SiftDown();
  }
  void Pop() {
    entries_.front() = entries_.back();
    entries_.pop_back();
    SiftDown();
  }

 private:
  // The keys lie here, so that comparing touches no source.
  struct Entry {
    model::Tsid tsid;
    int64_t min_timestamp = 0;
    size_t source = 0;

    bool Before(const Entry& other) const noexcept {
      if (tsid != other.tsid) return tsid < other.tsid;
      if (min_timestamp != other.min_timestamp) return min_timestamp < other.min_timestamp;
      return source < other.source;
    }
  };

  void SiftDown() {
    for (size_t at = 0;;) {
      size_t child = 2 * at + 1;
      if (child >= entries_.size()) return;
      if (child + 1 < entries_.size() && entries_[child + 1].Before(entries_[child])) ++child;
      if (!entries_[child].Before(entries_[at])) return;
      std::swap(entries_[at], entries_[child]);
      at = child;
    }
  }

  std::vector<Entry> entries_;
};

/// Samples with an exponent each, between being merged and being cut into blocks.
struct Samples {
  std::vector<int64_t> timestamps;
  std::vector<int64_t> mantissas;
  std::vector<int16_t> exponents;
};

void Trim(DecodedBlock& block, int64_t deadline, MergeStats& stats) {
  const auto from = std::lower_bound(block.timestamps.begin(), block.timestamps.end(), deadline);
  const auto count = from - block.timestamps.begin();
  if (count == 0) return;
  stats.rows_deleted += static_cast<uint64_t>(count);
  block.timestamps.erase(block.timestamps.begin(), from);
  block.mantissas.erase(block.mantissas.begin(), block.mantissas.begin() + count);
}

/// By time; of equal times the rows of the side that is being copied come first, `a` to begin with.
Samples MergeSamples(const DecodedBlock& a, const DecodedBlock& b) {
  Samples out;
  const DecodedBlock* side[2] = {&a, &b};
  size_t at[2] = {0, 0};
  int current = 0;
  const auto copy = [&](int s, size_t end) {
    for (; at[s] < end; ++at[s]) {
      out.timestamps.push_back(side[s]->timestamps[at[s]]);
      out.mantissas.push_back(side[s]->mantissas[at[s]]);
      out.exponents.push_back(side[s]->scale);
    }
  };
  while (at[0] < a.timestamps.size() && at[1] < b.timestamps.size()) {
    const int other = 1 - current;
    const int64_t limit = side[other]->timestamps[at[other]];
    size_t end = at[current];
    while (end < side[current]->timestamps.size() && side[current]->timestamps[end] <= limit) ++end;
    copy(current, end);
    current = other;
  }
  copy(0, a.timestamps.size());
  copy(1, b.timestamps.size());
  return out;
}

/// Counts blocks of one series that values alone keep short.
class ShortBlocks {
 public:
  void Add(size_t rows) noexcept { count_ = rows < kShortBlockRows ? count_ + 1 : 0; }
  void Reset() noexcept { count_ = 0; }
  bool TooMany() const noexcept { return count_ >= kShortBlocksLimit; }

 private:
  size_t count_ = 0;
};

/// Cut into blocks of at most kMaxRowsPerBlock rows that share an exponent without loss, unless there are too many
/// short ones.
std::vector<DecodedBlock> Cut(const Samples& samples, const model::Tsid& tsid, uint8_t precision_bits,
                              ShortBlocks& short_blocks, MergeStats& stats) {
  std::vector<DecodedBlock> blocks;
  CommonScale scale;
  size_t from = 0;
  bool lossy = false;
  const auto close = [&](size_t to) {
    DecodedBlock block;
    block.tsid = tsid;
    block.precision_bits = precision_bits;
    for (size_t i = from; i < to;) {
      // A run of one exponent is brought to the exponent of the block with all rows before it.
      DecodedBlock run;
      const int16_t exponent = samples.exponents[i];
      for (; i < to && samples.exponents[i] == exponent; ++i) {
        block.timestamps.push_back(samples.timestamps[i]);
        run.mantissas.push_back(samples.mantissas[i]);
      }
      block.scale = block.mantissas.empty()
                        ? exponent
                        : decimal::CalibrateScale(block.mantissas, block.scale, run.mantissas, exponent);
      block.mantissas.insert(block.mantissas.end(), run.mantissas.begin(), run.mantissas.end());
    }
    if (lossy) ++stats.lossy_blocks;
    lossy = false;
    blocks.push_back(std::move(block));
    from = to;
    scale.Reset();
  };
  for (size_t i = 0; i < samples.timestamps.size(); ++i) {
    if (i - from == model::kMaxRowsPerBlock) {
      close(i);
      short_blocks.Reset();
    }
    if (lossy || scale.Join(samples.mantissas[i], samples.exponents[i])) continue;
    if (short_blocks.TooMany()) {
      lossy = true;
      continue;
    }
    short_blocks.Add(i - from);
    close(i);
    scale.Join(samples.mantissas[i], samples.exponents[i]);
  }
  if (from < samples.timestamps.size()) close(samples.timestamps.size());
  return blocks;
}

/// The block that waits for its successors of the same series.
class Pending {
 public:
  Pending(PartWriter& writer, const MergePolicy& policy, MergeStats& stats)
      : writer_(writer), policy_(policy), stats_(stats) {}

  /// `part` names where the block comes from, in errors; it must stay.
  Status Add(const EncodedBlock& block, const std::string& part) {
    const BlockHeader& h = block.header;
    if (rows_ == 0 || h.tsid != tsid_ || (IsFull() && max_timestamp_ <= h.min_timestamp)) {
      if (h.tsid != tsid_) short_blocks_.Reset();
      VM_TRY(Write());
      return Take(block, part);
    }
    VM_TRY(Decode());
    VM_TRY(DecodeFrom(block, part, next_));
    if (next_.timestamps.front() >= max_timestamp_) {
      if (!MakeJoinable()) {
        short_blocks_.Add(rows_);
        VM_TRY(Write());
        return Take(block, part);
      }
      Trim(next_, policy_.retention_deadline_ms, stats_);
      return AppendNext();
    }
    Trim(next_, policy_.retention_deadline_ms, stats_);
    const model::Tsid tsid = tsid_;
    const uint8_t precision_bits = std::max(decoded_.precision_bits, next_.precision_bits);
    std::vector<DecodedBlock> blocks =
        Cut(MergeSamples(decoded_, next_), tsid, precision_bits, short_blocks_, stats_);
    rows_ = 0;
    for (DecodedBlock& cut : blocks) {
      VM_TRY(Write());
      SetDecoded(std::move(cut));
    }
    return Ok();
  }

  Status Write() {
    if (rows_ == 0) return Ok();
    rows_ = 0;
    if (std::exchange(lossy_, false)) short_blocks_.Reset();
    if (policy_.dedup_interval_ms > 0) {
      if (!is_decoded_) VM_TRY(DecodeFrom({header_, timestamps_data_, values_data_}, *part_, decoded_));
      if (is_decoded_ || model::NeedsDedup(decoded_.timestamps, policy_.dedup_interval_ms)) {
        const size_t rows = decoded_.timestamps.size();
        model::DeduplicateMantissas(decoded_.timestamps, decoded_.mantissas, policy_.dedup_interval_ms);
        stats_.rows_deduplicated += rows - decoded_.timestamps.size();
        is_decoded_ = true;
      }
    }
    if (is_decoded_) {
      timestamps_data_.clear();
      values_data_.clear();
      header_ = model::EncodeBlock(decoded_.tsid, decoded_.timestamps, decoded_.mantissas, decoded_.scale,
                                   decoded_.precision_bits, timestamps_data_, values_data_);
    }
    return writer_.Add({header_, timestamps_data_, values_data_});
  }

 private:
  bool IsFull() const {
    return rows_ >= model::kMaxRowsPerBlock || (!is_decoded_ && values_data_.size() >= kFullValuesSize);
  }

  // Keep a copy: the source's bytes are gone when it moves on.
  Status Take(const EncodedBlock& block, const std::string& part) {
    header_ = block.header;
    part_ = &part;
    timestamps_data_.assign(block.timestamps_data.begin(), block.timestamps_data.end());
    values_data_.assign(block.values_data.begin(), block.values_data.end());
    is_decoded_ = false;
    tsid_ = header_.tsid;
    rows_ = header_.rows_count;
    max_timestamp_ = header_.max_timestamp;
    return Ok();
  }
  static Status DecodeFrom(const EncodedBlock& block, const std::string& part, DecodedBlock& out) {
    Status status = model::DecodeBlock(block, out);
    if (status.ok()) return status;
    return std::move(status).error().WithContext("cannot merge part \"" + part + "\"");
  }
  Status Decode() {
    if (is_decoded_) return Ok();
    VM_TRY(DecodeFrom({header_, timestamps_data_, values_data_}, *part_, decoded_));
    Trim(decoded_, policy_.retention_deadline_ms, stats_);
    rows_ = decoded_.timestamps.size();
    is_decoded_ = true;
    common_known_ = false;
    return Ok();
  }
  void SetDecoded(DecodedBlock block) {
    decoded_ = std::move(block);
    is_decoded_ = true;
    common_known_ = false;
    tsid_ = decoded_.tsid;
    rows_ = decoded_.timestamps.size();
    max_timestamp_ = decoded_.timestamps.back();
  }

  /// Bring the pending block and the next one to one exponent if that changes no sample, or if it must be.
  bool MakeJoinable() {
    if (decoded_.scale == next_.scale) {
      if (common_known_) common_known_ = common_.JoinAll(next_.mantissas, next_.scale);
      return true;
    }
    if (!lossy_) {
      if (!common_known_) {
        common_.Reset();
        common_known_ = common_.JoinAll(decoded_.mantissas, decoded_.scale);
      }
      CommonScale joined = common_;
      if (joined.JoinAll(next_.mantissas, next_.scale)) {
        common_ = joined;
      } else {
        if (!short_blocks_.TooMany()) return false;
        lossy_ = true;
        ++stats_.lossy_blocks;
      }
    }
    decoded_.scale = decimal::CalibrateScale(decoded_.mantissas, decoded_.scale, next_.mantissas, next_.scale);
    return true;
  }
  /// Requires that the next block follows the pending one and has its exponent.
  Status AppendNext() {
    decoded_.timestamps.insert(decoded_.timestamps.end(), next_.timestamps.begin(), next_.timestamps.end());
    decoded_.mantissas.insert(decoded_.mantissas.end(), next_.mantissas.begin(), next_.mantissas.end());
    decoded_.precision_bits = std::max(decoded_.precision_bits, next_.precision_bits);
    rows_ = decoded_.timestamps.size();
    max_timestamp_ = decoded_.timestamps.back();
    if (rows_ <= model::kMaxRowsPerBlock) return Ok();
    DecodedBlock rest;
    rest.tsid = decoded_.tsid;
    rest.scale = decoded_.scale;
    rest.precision_bits = decoded_.precision_bits;
    const auto cut = static_cast<ptrdiff_t>(model::kMaxRowsPerBlock);
    rest.timestamps.assign(decoded_.timestamps.begin() + cut, decoded_.timestamps.end());
    rest.mantissas.assign(decoded_.mantissas.begin() + cut, decoded_.mantissas.end());
    decoded_.timestamps.resize(model::kMaxRowsPerBlock);
    decoded_.mantissas.resize(model::kMaxRowsPerBlock);
    VM_TRY(Write());
    SetDecoded(std::move(rest));
    return Ok();
  }

  PartWriter& writer_;
  const MergePolicy& policy_;
  MergeStats& stats_;
  // Either the encoded or the decoded form is valid.
  bool is_decoded_ = false;
  BlockHeader header_;
  const std::string* part_ = nullptr;  // Of the encoded form.
  ByteBuffer timestamps_data_, values_data_;
  DecodedBlock decoded_, next_;
  CommonScale common_;  // Of decoded_, when known.
  bool common_known_ = false;
  ShortBlocks short_blocks_;
  bool lossy_ = false;  // The pending block takes what comes until it is full.
  model::Tsid tsid_;
  size_t rows_ = 0;  // 0: nothing is pending.
  int64_t max_timestamp_ = 0;
};

}  // namespace

bool CommonScale::Join(int64_t mantissa, int16_t exponent) noexcept {
  if (mantissa == 0 || decimal::IsSpecial(mantissa)) return true;
  const int32_t lowest = std::max<int32_t>(lowest_, exponent - decimal::MaxUpExponent(mantissa));
  int32_t own = exponent;
  while (mantissa % 10 == 0) {
    mantissa /= 10;
    ++own;
  }
  const int32_t highest = std::min(highest_, own);
  if (lowest > highest) return false;
  lowest_ = lowest;
  highest_ = highest;
  return true;
}

bool CommonScale::JoinAll(std::span<const int64_t> mantissas, int16_t exponent) noexcept {
  return std::all_of(mantissas.begin(), mantissas.end(), [&](int64_t m) { return Join(m, exponent); });
}

Status MergeParts(std::span<const std::shared_ptr<const PartReader>> parts, PartWriter& writer,
                  const MergePolicy& policy, std::stop_token stop, MergeStats& stats) {
  std::vector<std::unique_ptr<Source>> sources;
  SourceHeap heap;
  for (const auto& part : parts) {
    sources.push_back(std::make_unique<Source>(part));
    VM_ASSIGN_OR_RETURN(const bool found, sources.back()->Next());
    if (found) heap.Push(sources.back()->block().header, sources.size() - 1);
  }
  Pending pending(writer, policy, stats);
  while (!heap.empty()) {
    if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "the merge was stopped");
    Source& source = *sources[heap.top()];
    const EncodedBlock& block = source.block();
    stats.rows_read += block.header.rows_count;
    if (block.header.max_timestamp < policy.retention_deadline_ms ||
        (policy.is_deleted && policy.is_deleted(block.header.tsid.metric_id))) {
      stats.rows_deleted += block.header.rows_count;
    } else {
      VM_TRY(pending.Add(block, source.path()));
    }
    VM_ASSIGN_OR_RETURN(const bool found, source.Next());
    if (found) {
      heap.ReplaceTop(source.block().header);
    } else {
      heap.Pop();
    }
  }
  return pending.Write();
}

}  // namespace vm::storage
