#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "insert/parse/remotewrite/write_request.h"
#include "insert/parse/rows/plain_labels.h"
#include "lib/bytes/bytes.h"

namespace vm::insert {

/// What ReadPlainSeries has read. Its memory is used again.
struct PlainSeries {
  static constexpr size_t kNowhere = ~size_t{0};

  size_t labels_size = 0;               // Bytes written.
  size_t metric_name_at = kNowhere;     // Where among them the label `__name__` begins, as an empty name.
  std::vector<RemoteSample> samples;
};

/// Read a message TimeSeries of the form all known senders write, first labels with a value, then samples, into labels as they are sent
/// (plain_labels.h). False for any other form: WriteRequest has the last word. `dst` has room for message.size() + kPlainSeriesSlack bytes; bytes up to `readable_end` may be read.
/// Pure.
bool ReadPlainSeries(ByteView message, const uint8_t* readable_end, const PlainSeriesLimits& limits, uint8_t* dst,
                     PlainSeries& series);

}  // namespace vm::insert
