#include "insert/parse/otlp/firehose.h"

#include <optional>
#include <string>

#include "insert/parse/json/json.h"
#include "lib/http/args.h"

namespace vm::insert {
namespace {

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

}  // namespace

Status UnpackFirehose(ByteBuffer& dst, std::string_view body) {
  JsonDocument document;
  if (Status status = document.Parse(body); !status.ok()) {
    return std::move(status).error().WithContext("cannot unmarshal Firehose JSON in request body");
  }
  const auto records = document.root().FindOf(JsonType::kArray, "records");
  if (!records) return Ok();
  for (const JsonValue record : *records) {
    const std::optional<std::string> data = http::DecodeBase64(record.FindText("data"));
    if (!data) return Bad("cannot unmarshal Firehose JSON in request body: `data` must be base64");
    ByteView rest = AsBytes(*data);
    while (!rest.empty()) {
      uint64_t length = 0;
      size_t size = 0;
      for (;; ++size) {
        if (size == rest.size() || size == 5) return Bad("failed to parse OpenTelemetry message: invalid variant");
        length |= static_cast<uint64_t>(rest[size] & 127) << (7 * size);
        if ((rest[size] & 128) == 0) break;
      }
      rest = rest.subspan(size + 1);
      if (length > rest.size()) return Bad("failed to parse OpenTelemetry message: insufficient length of buffer");
      Append(dst, rest.first(length));
      rest = rest.subspan(length);
    }
  }
  return Ok();
}

}  // namespace vm::insert
