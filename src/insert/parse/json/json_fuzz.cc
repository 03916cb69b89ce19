// What is read prints as JSON that reads the same.
#include "insert/parse/json/json.h"

#include "lib/bytes/fuzz.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

VM_FUZZ_SEEDS(" {\"a\" : [1, -2.5e3 ,null,true,\"x\"],\"b\":{},\"c\":\"\\u00e9\\n\\q\\ud83d\\ude00\", \"d\":[[],[[]]]} ",
              "[NaN,-Infinity,inf,+1,false,\"\\\\\\\"\\/\\b\\f\\r\\t\\ud800\\u0000\"]", "{\"a\":1,\"a\":{\"\":\"\"}}")

namespace {

void Quote(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

void Print(std::string& out, const JsonValue& value, int depth) {
  Require(depth < 302);
  switch (value.type()) {
    case JsonType::kNull: out += "null"; break;
    case JsonType::kFalse: out += "false"; break;
    case JsonType::kTrue: out += "true"; break;
    case JsonType::kNumber:
      out += value.text();
      static_cast<void>(value.AsNumber());
      static_cast<void>(value.AsInteger());
      break;
    case JsonType::kString: Quote(out, value.text()); break;
    case JsonType::kArray:
    case JsonType::kObject: {
      const bool is_object = value.is(JsonType::kObject);
      out += is_object ? '{' : '[';
      bool is_first = true;
      for (const JsonValue item : value) {
        if (!is_first) out += ',';
        is_first = false;
        if (is_object) {
          Quote(out, item.key());
          out += ':';
          Require(value.Find(item.key()).has_value());
        }
        Print(out, item, depth + 1);
      }
      out += is_object ? '}' : ']';
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  JsonDocument document;
  if (!document.Parse(AsText(ByteView(data, size))).ok()) return 0;
  std::string once, twice;
  Print(once, document.root(), 0);
  JsonDocument again;
  Require(again.Parse(once).ok());
  Print(twice, again.root(), 0);
  Require(once == twice);
  return 0;
}
