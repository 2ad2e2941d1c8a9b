# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
import unittest

import check_registers
from check_registers import BudgetError, Usage

BUDGET = """# comment
kernel            sm_80,sm_90  sm_86,sm_120
scale<float, *>            32            40  # why
order                      24            24
"""
REPORT = """ptxas info    : Compiling entry function 'void a::(anonymous namespace)::scale<float, 4>(a::Args<float>)' for 'sm_80'
ptxas info    : Function properties for scale
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 33 registers, used 1 barriers, 392 bytes cmem[0]
ptxas info    : Compiling entry function 'a::(anonymous namespace)::order(a::Args)' for 'sm_80'
ptxas info    : Function properties for order
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 24 registers
"""


class Budget(unittest.TestCase):
    def setUp(self):
        self.budget = check_registers.read_budget(BUDGET)

    def test_within(self):
        usages = [Usage("scale<float, 4>", "86", 40, 0, 0), Usage("order", "120", 24, 0, 0)]
        self.assertEqual(check_registers.faults(usages, self.budget), [])

    def test_one_register_too_many(self):
        usages = [Usage("scale<float, 4>", "90", 33, 0, 0), Usage("order", "80", 1, 0, 0)]
        self.assertEqual(check_registers.faults(usages, self.budget),
                         ["scale<float, 4> on sm_90: 33 registers, the budget allows 32"])

    def test_unknown_kernel_unknown_architecture_and_stale_line(self):
        usages = [Usage("scale<double, 4>", "80", 1, 0, 0), Usage("order", "75", 1, 0, 0)]
        self.assertEqual(check_registers.faults(usages, self.budget),
                         ["scale<double, 4> on sm_80: 1 registers, but no line of the budget",
                          "order on sm_75: 1 registers, but the budget has no such architecture",
                          "budget line 'scale<float, *>': no kernel of that name"])

    def test_report_with_spills(self):
        usages = check_registers.read_report(REPORT, "80")
        self.assertEqual(usages, [Usage("scale<float, 4>", "80", 33, 0, 0), Usage("order", "80", 24, 8, 16)])
        self.assertEqual(check_registers.faults(usages, self.budget),
                         ["scale<float, 4> on sm_80: 33 registers, the budget allows 32",
                          "order on sm_80: 8 B of local memory, 16 B of spills"])

    def test_unreadable(self):
        for text in ("", "kernel\n", "kernel ampere\n", "kernel sm_80\nscale many\n", "kernel sm_80\n# nothing\n"):
            with self.assertRaises(BudgetError):
                check_registers.read_budget(text)
        with self.assertRaises(BudgetError):
            check_registers.read_report("Compiling entry function 'f' for 'sm_80'\n", "80")


if __name__ == "__main__":
    unittest.main()
