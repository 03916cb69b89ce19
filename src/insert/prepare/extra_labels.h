#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace vm::insert {

struct ExtraLabel {
  std::string name;
  std::string value;

  bool operator==(const ExtraLabel&) const = default;
};

/// Labels that a request adds to each of its series: first the grouping labels in a path with
/// `/metrics/job/<v>[/<label>/<v>...]` (`@base64` names carry URL-safe base64), then the `extra_label`
/// arguments. `path` is decoded. Errors: kInvalidInput.
Result<std::vector<ExtraLabel>> ParseExtraLabels(std::string_view path,
                                                 std::span<const std::string> extra_label_args);

}  // namespace vm::insert
