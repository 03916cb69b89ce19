#include "select/promql/series.h"

#include <utility>

namespace vm::select {
namespace {

class UnpackedSeries : public SeriesSet {
 public:
  explicit UnpackedSeries(std::vector<TimeSeries> series) : series_(std::move(series)) {}

  size_t size() const override { return series_.size(); }
  size_t workers() const override { return 1; }
  boost::asio::awaitable<Status> ForEach(Visit visit) override {
    for (size_t i = 0; i < series_.size(); ++i) {
      VM_CO_TRY(visit(0, i, series_[i]));
      series_[i] = TimeSeries();
    }
    co_return Ok();
  }

 private:
  std::vector<TimeSeries> series_;
};

}  // namespace

size_t MemoryOf(const model::MetricName& name) {
  const auto heap = [](const std::string& text) {
    constexpr size_t kInPlace = 15;  // As long as that a text lies in the string itself.
    return text.capacity() > kInPlace ? text.capacity() + 1 : 0;
  };
  size_t bytes = sizeof(name) + heap(name.metric_group) + name.tags.capacity() * sizeof(model::Tag);
  for (const auto& tag : name.tags) bytes += heap(tag.key) + heap(tag.value);
  return bytes;
}

size_t MemoryOf(const TimeSeries& series) {
  return sizeof(series) - sizeof(series.name) + MemoryOf(series.name) + series.timestamps.capacity() * sizeof(int64_t) +
         series.values.capacity() * sizeof(double);
}

std::unique_ptr<SeriesSet> MakeSeriesSet(std::vector<TimeSeries> series) { return std::make_unique<UnpackedSeries>(std::move(series)); }

}  // namespace vm::select
