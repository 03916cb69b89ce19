#include "insert/parse/remotewrite/write_request.h"

#include <fmt/format.h>

#include <exception>
#include <new>
#include <stdexcept>

#include "insert/parse/remotewrite/pbf.h"
#include "insert/parse/remotewrite/wire.h"

namespace vm::insert {

using namespace pbf;  // NOLINT: of this folder alone, for .cc files that name its readers in each line

namespace {

model::LabelView TakeLabel(ByteView src) {
  model::LabelView label{};
  pbf_reader reader = Reader(src);
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: label.name = TakeString(reader, "label name"); break;
      case 2: label.value = TakeString(reader, "label value"); break;
      default: reader.skip();
    }
  }
  return label;
}

/// A label as all known senders write it: name, then value. False: read it field by field.
inline bool ReadPlainLabel(const uint8_t* p, const uint8_t* end, model::LabelView& label) {
  size_t length = 0;
  if (p == end || *p++ != wire::kBytesField1 || !wire::ReadShortLength(p, end, length)) return false;
  label.name = AsText(ByteView(p, length));
  p += length;
  if (p == end || *p++ != wire::kBytesField2 || !wire::ReadShortLength(p, end, length)) return false;
  label.value = AsText(ByteView(p, length));
  return p + length == end;
}

RemoteSample TakeSample(ByteView src) {
  RemoteSample sample;
  pbf_reader reader = Reader(src);
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: sample.value = TakeDouble(reader, "sample value"); break;
      case 2: sample.timestamp = static_cast<int64_t>(TakeVarint(reader, "sample timestamp")); break;
      default: reader.skip();
    }
  }
  return sample;
}

RemoteMetadata TakeMetadata(ByteView src) {
  RemoteMetadata item;
  pbf_reader reader = Reader(src);
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: item.type = TakeUint32(reader, "metric type"); break;
      case 2: item.metric_family_name = TakeString(reader, "metric family name"); break;
      case 4: item.help = TakeString(reader, "help"); break;
      case 5: item.unit = TakeString(reader, "unit"); break;
      case 11: item.account_id = TakeUint32(reader, "AccountID"); break;
      case 12: item.project_id = TakeUint32(reader, "ProjectID"); break;
      default: reader.skip();
    }
  }
  return item;
}

}  // namespace

template <class Work>
Status WriteRequest::Guarded(Work work) const {
  try {
    work();
  } catch (const std::bad_alloc&) {
    throw;  // The body is not to blame.
  } catch (const std::exception& exception) {
    return Error(ErrorCode::kInvalidInput,
                 fmt::format("cannot unmarshal prompb.WriteRequest with size {} bytes: {}", size_, exception.what()));
  }
  return Ok();
}

void WriteRequest::Start(ByteView src) {
  size_ = src.size();
  rest_ = src;
  labels_.clear();
  samples_.clear();
  histograms_.clear();
  metadata_.clear();
}

Result<bool> WriteRequest::NextSeries(ByteView& message) {
  bool has_series = false;
  VM_TRY(Guarded([&] {
    pbf_reader reader = Reader(rest_);
    while (!has_series && reader.next()) {
      switch (reader.tag()) {
        case 1:
          message = TakeMessage(reader, "timeseries data");
          has_series = true;
          break;
        case 3: metadata_.push_back(TakeMetadata(TakeMessage(reader, "metadata"))); break;
        default: reader.skip();
      }
    }
    rest_ = rest_.last(reader.length());
  }));
  return has_series;
}

Status WriteRequest::ReadSeries(ByteView message) {
  labels_.clear();
  samples_.clear();
  histograms_.clear();
  return Guarded([&] { TakeTimeSeries(message); });
}

Status WriteRequest::ReadHistogram(ByteView message, NativeHistogram& histogram) const {
  std::string_view name;
  for (size_t i = 0; i < labels_.size() && name.empty(); ++i) {
    if (labels_[i].name == "__name__") name = labels_[i].value;
  }
  return Guarded([&] { histogram.Read(message, name); });
}

void WriteRequest::TakeTimeSeries(ByteView src) {
  // Labels and samples in the usual form; the reader goes on where another one begins.
  const uint8_t* p = src.data();
  const uint8_t* const end = p + src.size();
  for (const uint8_t* field = p; field != end; p = field) {
    const uint8_t tag = *field++;
    size_t length = 0;
    if ((tag != wire::kBytesField1 && tag != wire::kBytesField2) || !wire::ReadShortLength(field, end, length)) break;
    if (tag == wire::kBytesField1) {
      model::LabelView& label = labels_.emplace_back();
      if (!ReadPlainLabel(field, field + length, label)) {
        labels_.pop_back();
        break;
      }
    } else {
      RemoteSample& sample = samples_.emplace_back();
      if (!wire::ReadPlainSample(field, field + length, sample)) {
        samples_.pop_back();
        break;
      }
    }
    field += length;
  }
  pbf_reader reader = Reader(ByteView(p, end));
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: labels_.push_back(TakeLabel(TakeMessage(reader, "label data"))); break;
      case 2: samples_.push_back(TakeSample(TakeMessage(reader, "sample data"))); break;
      case 4: histograms_.push_back(TakeMessage(reader, "native histogram data")); break;
      default: reader.skip();
    }
  }
  if (!samples_.empty() && !histograms_.empty()) {
    throw std::runtime_error("cannot have both samples and native histograms in the same TimeSeries");
  }
}

}  // namespace vm::insert
