// Patterns of paths, tags of series and filters over them: what a program writes it reads back.
#include "lib/bytes/fuzz.h"
#include "select/graphite/paths.h"
#include "select/graphite/tags.h"

using namespace vm;                    // NOLINT: one small program, nothing includes it
using namespace vm::select::graphite;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

VM_FUZZ_SEEDS("0foo.{b*,ba[1-9]}.x", "0{a{b,c}d,}.*", "0{{[,", "1m;a=b;c=d", "1;=;a", "2a!=~b.*", "2name=x", "3a.b\na.b.\na.c.\nd")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  const size_t choice = fuzz::TakeChoice(src, 4);
  const std::string_view text = AsText(src);
  switch (choice) {
    case 0: {
      const std::string regex = PathPatternToRegex(text, '.');
      Require(regex.starts_with('^') && regex.ends_with('$'));
      const auto compiled = CompilePathPattern(text, '.');
      // A plain path means itself, as leaf and as node.
      if (text.find_first_of("*{[") == std::string_view::npos && compiled.ok()) {
        Require(compiled.value().Match(text) && (text.ends_with('.') || compiled.value().Match(std::string(text) + '.')));
      }
      Require(AddAutomaticVariants(text, '.').size() >= text.size());
      break;
    }
    case 1: {
      const Tags tags = UnmarshalTags(text);
      Require(UnmarshalTags(MarshalTags(tags)) == tags || tags.contains("name"));
      static_cast<void>(FiltersOfPath(text).ok());
      break;
    }
    case 2: {
      const auto filter = ParseTagExpression(text);
      Require(filter.ok() == (text.find('=') != std::string_view::npos));
      std::vector<std::string> texts = {"a", "abc"};
      static_cast<void>(FilterByRegex(texts, text).ok());
      break;
    }
    default: {
      std::vector<std::string> paths;
      for (std::string_view rest = text; !rest.empty();) paths.emplace_back(fuzz::TakePart(rest, '\n'));
      DeduplicatePaths(paths);
      fuzz::Touch(FindResponse(paths, '.', FindFormat::kTreeJson, true));
      fuzz::Touch(FindResponse(paths, '.', FindFormat::kCompleter, true));
    }
  }
  return 0;
}
