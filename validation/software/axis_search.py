# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""A search along the axes for few constants, all above 0."""


def least(loss, constants, steps, until):
    """Constants near a minimum of `loss`: each is moved by its step while that helps, and all steps halve when
    none does, until the second one is at most `until`."""
    best = loss(constants)
    while steps[1] > until:
        moved = False
        for i, step in enumerate(steps):
            for signed in (step, -step):
                trial = constants[:i] + [constants[i] + signed] + constants[i + 1:]
                if min(trial) > 0 and loss(trial) < best - 1e-12:
                    constants, best, moved = trial, loss(trial), True
                    break
        if not moved:
            steps = [step / 2 for step in steps]
    return constants
