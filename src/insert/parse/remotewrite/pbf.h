#pragma once

#include <cstdint>
#include <protozero/pbf_reader.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#include "lib/bytes/bytes.h"

// Fields of the protobuf messages of remote write. They throw, as protozero does: to be caught within this module.
namespace vm::insert::pbf {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

inline void Expect(const pbf_reader& reader, pbf_wire_type type, const char* what) {
  if (reader.wire_type() != type) throw std::runtime_error(std::string("cannot read ") + what);
}

inline pbf_reader Reader(ByteView src) { return pbf_reader(reinterpret_cast<const char*>(src.data()), src.size()); }

inline ByteView TakeMessage(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::length_delimited, what);
  const auto view = reader.get_view();
  return AsBytes(std::string_view(view.data(), view.size()));
}

inline std::string_view TakeString(pbf_reader& reader, const char* what) { return AsText(TakeMessage(reader, what)); }

inline double TakeDouble(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::fixed64, what);
  return reader.get_double();
}

inline uint64_t TakeVarint(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::varint, what);
  return reader.get_uint64();
}

inline uint32_t TakeUint32(pbf_reader& reader, const char* what) {
  const uint64_t value = TakeVarint(reader, what);
  if (value > UINT32_MAX) throw std::runtime_error(std::string("cannot read ") + what);
  return static_cast<uint32_t>(value);
}

inline int32_t TakeSint32(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::varint, what);
  return reader.get_sint32();
}

}  // namespace vm::insert::pbf
