# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Recorders: the routing of a model that runs in this process, as a trace."""

from pregate.record.transformers import transformers

__all__ = ["transformers"]
