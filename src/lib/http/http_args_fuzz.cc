// What is decoded encodes to a text that decodes to the same.
#include "lib/bytes/fuzz.h"
#include "lib/http/args.h"

using namespace vm;        // NOLINT: one small program, nothing includes it
using namespace vm::http;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

VM_FUZZ_SEEDS("a=b&c=%20+d&&match[]={a=\"b\"}&x;y=1&%zz=1&e", "aGVsbG8=", "%e2%82%ac=%00")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = AsText(ByteView(data, size));
  const Args args = ParseQuery(text);
  std::string query;
  for (const auto& [name, value] : args.all()) {
    if (!query.empty()) query += '&';
    query += EscapeQuery(name) + '=' + EscapeQuery(value);
    Require(args.Has(name) && !args.GetAll(name).empty() && args.Get(name) == args.GetAll(name)[0]);
  }
  Require(ParseQuery(query).all() == args.all());
  Require(Unescape(EscapeQuery(text), true) == text);
  if (const auto plain = Unescape(text, false)) Require(plain->size() <= size);
  Require(DecodeBase64(EncodeBase64(text)) == text);
  if (const auto bytes = DecodeBase64(text)) Require(DecodeBase64(EncodeBase64(*bytes)) == *bytes);
  return 0;
}
