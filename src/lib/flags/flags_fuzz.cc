// Values of flags are within their limits; whole command lines are taken or refused.
#include "lib/bytes/fuzz.h"
#include "lib/flags/flags.h"

using namespace vm;         // NOLINT: one small program, nothing includes it
using namespace vm::flags;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

VM_FUZZ_SEEDS("01h30m1.5s", "0-9223372036854775808ns", "164MiB", "11e18tb", "2100y", "21.5", "3a,\"b,\\n\",[c,d],(e),{f}",
              "4-s=x\n--i=0x1_f\n-b\n-d=1.5h\n-a=1,2\n-bs=,true", "4-i\n-7\n-f=1e3\n-z=10KB\n-r=1d\n-p=file:///x\n--\n")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  const size_t choice = fuzz::TakeChoice(src, 5);
  std::string_view text = AsText(src);
  switch (choice) {
    case 0: {
      const auto duration = ParseGoDuration(text);
      if (!duration.ok()) break;
      const auto again = ParseGoDuration(std::to_string(duration.value().count() / 1'000'000) + "ms");
      Require(again.ok() && std::chrono::abs(again.value() - duration.value()) < std::chrono::milliseconds(2));
      break;
    }
    case 1: static_cast<void>(ParseBytes(text).ok()); break;
    case 2:
      if (const auto retention = ParseRetention(text); retention.ok()) {
        Require(retention.value() >= 0 && retention.value() <= int64_t{1200} * 31 * 86'400'000);
      }
      break;
    case 3: {
      size_t bytes = 0;
      for (const std::string& item : SplitArray(text)) bytes += item.size() + 1;
      Require(bytes <= text.size() + 1);
      break;
    }
    default: {
      FlagSet set;
      set.String("s", "", "");
      set.Bool("b", false, "");
      set.Int("i", 0, "");
      set.Float("f", 0, "");
      set.Duration("d", std::chrono::seconds(1), "");
      set.Bytes("z", 0, "");
      set.Retention("r", "1", "");
      set.Array("a", "");
      set.BoolArray("bs", "");
      set.Secret("p", "");
      std::vector<std::string> args;
      while (!text.empty()) args.emplace_back(fuzz::TakePart(text, '\n'));
      static_cast<void>(set.Parse(args).ok());
      for (const auto& [name, value] : set.SetFlags()) Require(set.IsSet(name));
      fuzz::Touch(set.Usage());
    }
  }
  return 0;
}
