# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""What is raised for input that the caller can mend."""


class InputError(ValueError):
    """Bad input: `where` names a file, an option or a key, `problem` what is wrong, `hint` how to mend it.

    `hint` and `where` may be empty.
    """

    def __init__(self, where: str, problem: str, hint: str = "") -> None:
        """As the program prints it: where, problem, hint."""
        super().__init__(f"{where}: {problem}" if where else problem)
        self.where = where
        self.problem = problem
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str, str]]:
        """Errors of worker processes arrive whole."""
        return type(self), (self.where, self.problem, self.hint)
