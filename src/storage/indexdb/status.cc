#include <algorithm>
#include <utility>

#include "storage/indexdb/indexdb.h"
#include "storage/indexdb/records.h"
#include "storage/indexdb/scan.h"

// Statistics about the tag rows of one day.
namespace vm::indexdb {
namespace {

/// Keeps the entries with the greatest counts. Which of several entries with the smallest kept count stay is decided as
/// in the reference: a binary heap with the smallest on top, where an equal count replaces nothing.
class TopList {
 public:
  explicit TopList(size_t size) : size_(size) {}

  void Add(std::string_view name, uint64_t count) {
    if (count == 0 || size_ == 0) return;
    if (entries_.size() < size_) {
      entries_.push_back({std::string(name), count});
      MoveUp(entries_.size() - 1);
    } else if (count > entries_[0].count) {
      entries_[0] = {std::string(name), count};
      MoveDown();
    }
  }
  std::vector<model::TopEntry> Take() {
    std::sort(entries_.begin(), entries_.end(), [](const model::TopEntry& a, const model::TopEntry& b) {
      return a.count != b.count ? a.count > b.count : a.name < b.name;
    });
    return std::move(entries_);
  }

 private:
  void MoveUp(size_t i) {
    while (i > 0 && entries_[i].count < entries_[(i - 1) / 2].count) {
      std::swap(entries_[i], entries_[(i - 1) / 2]);
      i = (i - 1) / 2;
    }
  }
  void MoveDown() {
    for (size_t i = 0;;) {
      size_t child = 2 * i + 1;
      if (child >= entries_.size()) return;
      if (child + 1 < entries_.size() && entries_[child + 1].count < entries_[child].count) ++child;
      if (entries_[child].count >= entries_[i].count) return;
      std::swap(entries_[i], entries_[child]);
      i = child;
    }
  }

  const size_t size_;
  std::vector<model::TopEntry> entries_;
};

}  // namespace

Result<model::TsdbStatus> IndexDb::GetTsdbStatus(const model::Tenant& tenant, const FilterGroups& groups,
                                                 uint64_t date, std::string_view focus_label, size_t top_n,
                                                 uint64_t max_metrics, const Deadline& deadline) const {
  std::optional<std::vector<uint64_t>> dates;
  if (!options_.disable_per_day_index) dates = {date};
  model::TsdbStatus status;
  std::optional<Ids> wanted;
  if (!groups.empty()) {
    VM_ASSIGN_OR_RETURN(wanted, SearchIds(tenant, groups, dates, max_metrics, deadline));
    if (wanted->empty()) return status;
  }
  const auto deleted = Deleted();
  TopList metric_names(top_n), label_names(top_n), focus_values(top_n), pairs(top_n), value_counts(top_n);
  std::string label, value;
  uint64_t label_series = 0, label_values = 0, value_series = 0;
  const auto end_value = [&] {
    if (value_series == 0) return;
    ++label_values;
    pairs.Add(label + "=" + value, value_series);
    if (label == "__name__") metric_names.Add(value, value_series);
    if (label == focus_label) focus_values.Add(value, value_series);
    value_series = 0;
  };
  const auto end_label = [&] {
    end_value();
    label_names.Add(label, label_series);
    value_counts.Add(label, label_values);
    label_series = label_values = 0;
  };

  const ByteBuffer prefix = TagPrefixes(tenant, dates).front();
  Pacer pacer(deadline);
  TagRow row;
  mergeset::Search search = table_->NewSearch();
  bool more = search.Seek(prefix);
  while (more && StartsWith(search.item(), prefix)) {
    VM_TRY(pacer.Check());
    VM_TRY(UnmarshalTagRow(search.item().subspan(prefix.size()), row));
    if (IsArtificialKey(row.key)) {
      ByteBuffer key = prefix;
      key.push_back(static_cast<uint8_t>(row.key[0]));
      more = search.Seek(PrefixEnd(std::move(key)));
      continue;
    }
    uint64_t count = 0;
    while (!row.ids.empty()) {
      const uint64_t id = TakeBigEndian<uint64_t>(row.ids);
      if (!deleted->contains(id) && (!wanted || std::binary_search(wanted->begin(), wanted->end(), id))) ++count;
    }
    if (count > 0) {
      if (row.key.empty()) row.key = "__name__";
      if (row.key != label) {
        end_label();
        label = row.key;
        value = row.value;
      } else if (row.value != value) {
        end_value();
        value = row.value;
      }
      if (label == "__name__") status.total_series += count;
      label_series += count;
      value_series += count;
      status.total_label_value_pairs += count;
    }
    more = search.Next();
  }
  VM_TRY(search.status());
  end_label();
  status.series_count_by_metric_name = metric_names.Take();
  status.series_count_by_label_name = label_names.Take();
  status.series_count_by_focus_label_value = focus_values.Take();
  status.series_count_by_label_value_pair = pairs.Take();
  status.label_value_count_by_label_name = value_counts.Take();
  return status;
}

}  // namespace vm::indexdb
