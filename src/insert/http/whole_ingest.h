#pragma once

#include <functional>

#include "insert/http/ingest.h"

namespace vm::insert {

/// All turns of one body. For tests.
inline Result<IngestOutput> IngestWhole(const std::function<Steps(IngestOutput& output)>& begin) {
  IngestOutput output;
  Steps steps = begin(output);
  for (;;) {
    VM_ASSIGN_OR_RETURN(const bool has_more, steps.Next());
    if (!has_more) return output;
  }
}

}  // namespace vm::insert
