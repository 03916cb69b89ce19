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

std::unique_ptr<SeriesSet> MakeSeriesSet(std::vector<TimeSeries> series) { return std::make_unique<UnpackedSeries>(std::move(series)); }

}  // namespace vm::select
