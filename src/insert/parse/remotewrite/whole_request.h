#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "insert/parse/remotewrite/write_request.h"

namespace vm::insert {

/// A range of the labels and a range of the samples of its WholeWriteRequest.
struct RemoteSeries {
  size_t first_label = 0;
  size_t labels_count = 0;
  size_t first_sample = 0;
  size_t samples_count = 0;
};

/// All series of a WriteRequest at once, histograms in rows. For tests.
class WholeWriteRequest {
 public:
  Status Unmarshal(ByteView src) {
    Start(src);
    for (;;) {
      ByteView message;
      VM_ASSIGN_OR_RETURN(const bool has_series, request_.NextSeries(message));
      if (!has_series) return Ok();
      VM_TRY(Take(message));
    }
  }
  Status UnmarshalTimeSeries(ByteView src) {
    Start({});
    return Take(src);
  }

  std::span<const RemoteSeries> series() const { return series_; }
  std::span<const RemoteMetadata> metadata() const { return request_.metadata(); }
  std::span<const model::LabelView> labels(const RemoteSeries& series) const {
    return std::span(labels_).subspan(series.first_label, series.labels_count);
  }
  std::span<const RemoteSample> samples(const RemoteSeries& series) const {
    return std::span(samples_).subspan(series.first_sample, series.samples_count);
  }

 private:
  void Start(ByteView src) {
    request_.Start(src);
    series_.clear();
    labels_.clear();
    samples_.clear();
    texts_.clear();
  }
  Status Take(ByteView message) {
    VM_TRY(request_.ReadSeries(message));
    if (!request_.samples().empty()) {
      Append(request_.labels(), request_.samples());
    }
    NativeHistogram histogram;
    for (const ByteView packed : request_.histograms()) {
      VM_TRY(request_.ReadHistogram(packed, histogram));
      for (HistogramRow row; histogram.Next(row);) {
        std::vector<model::LabelView> labels;
        SetHistogramLabels(request_.labels(), row, labels);
        for (model::LabelView& label : labels) label.value = texts_.emplace_back(label.value);
        const RemoteSample sample{row.value, histogram.timestamp()};
        Append(labels, std::span(&sample, 1));
      }
    }
    return Ok();
  }
  void Append(std::span<const model::LabelView> labels, std::span<const RemoteSample> samples) {
    series_.push_back({labels_.size(), labels.size(), samples_.size(), samples.size()});
    labels_.insert(labels_.end(), labels.begin(), labels.end());
    samples_.insert(samples_.end(), samples.begin(), samples.end());
  }

  WriteRequest request_;
  std::vector<RemoteSeries> series_;
  std::vector<model::LabelView> labels_;
  std::vector<RemoteSample> samples_;
  std::deque<std::string> texts_;
};

}  // namespace vm::insert
