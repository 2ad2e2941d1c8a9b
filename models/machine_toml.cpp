// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/fields/describe.hpp"
#include "models/fields/read_fields.hpp"
#include "models/readers.hpp"

namespace pregate {

MachineSpec read_machine(const Node& root, const std::string& name) {
  MachineSpec machine;
  machine.name = name;
  TableReader top(root, "");
  read_fields(machine_fields(), machine, top);
  top.finish();
  validate(machine, root.where);
  return machine;
}

}  // namespace pregate
