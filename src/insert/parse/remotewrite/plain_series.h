#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "insert/parse/remotewrite/write_request.h"
#include "lib/bytes/bytes.h"

namespace vm::insert {

/// What a series must keep to be read by ReadPlainSeries.
struct PlainSeriesLimits {
  size_t max_labels = 0;  // 0: any number.
  size_t max_name_bytes = 0;
  size_t max_value_bytes = 0;
};

/// What ReadPlainSeries has read. Its memory is used again.
struct PlainSeries {
  static constexpr size_t kNowhere = ~size_t{0};

  size_t labels_size = 0;               // Bytes written.
  size_t metric_name_at = kNowhere;     // Where among them the label `__name__` begins, as an empty name.
  std::vector<RemoteSample> samples;
};

/// Bytes that ReadPlainSeries may write beyond the size of the message.
inline constexpr size_t kPlainSeriesSlack = 32;

/// Read a message TimeSeries of the form all known senders write straight into labels as vminsert sends them (those of
/// model::MarshalMetricNameRaw, without the tenant): first labels with a value, then samples. One pass instead of a table of labels: that
/// table costs more than the rest of the work. False for any other form, broken or beyond the limits: WriteRequest and what follows
/// it have the last word. `dst` has room for message.size() + kPlainSeriesSlack bytes; bytes up to `readable_end` may be read.
/// Pure.
bool ReadPlainSeries(ByteView message, const uint8_t* readable_end, const PlainSeriesLimits& limits, uint8_t* dst,
                     PlainSeries& series);

}  // namespace vm::insert
