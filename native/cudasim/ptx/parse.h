// Reads PTX.
#pragma once

#include "ir.h"

namespace sim::ptx {

/// Throws Error. `version` and `target` are checked by the caller, through `header`, before anything else is read: what a newer
/// version of PTX brings need not parse.
Module parse(const std::string& text, void (*header)(const Module& module, int line));

}  // namespace sim::ptx
