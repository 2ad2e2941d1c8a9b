# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""How fast a Mixture-of-Experts model runs when its experts do not all fit in GPU memory, under which policy, and why.

>>> import pregate as pg
>>> trace = pg.generate(model="qwen3-30b-a3b", locality="typical")
>>> result = pg.simulate(trace, machine="rtx4090-pcie4", policy="pre-gated-cache", cache="25%")
>>> result.tokens_per_s, result.range, result.why

Names, units and defaults are those of the program's options and JSON. See docs/python.md.
"""

from pregate import record
from pregate._core import eviction_names as evictions
from pregate._core import host_names as hosts
from pregate._core import machine_names as machines
from pregate._core import miss_service_names as miss_services
from pregate._core import model_names as models
from pregate._core import policy_names as policies
from pregate._core import predictor_names as predictors
from pregate._core import prefetcher_names as prefetchers
from pregate._core import software_names as software
from pregate._core import version as __version__
from pregate.errors import InputError
from pregate.evidence import calibrate, validate_device, validate_published
from pregate.own_parts import compiled_predictor, miss_service, predictor, prefetcher
from pregate.parameters import Parameter
from pregate.parts import compiled_eviction, eviction
from pregate.results import Comparison, Result
from pregate.running import Policy, advise, compare, execute, policy, simulate, sweep
from pregate.traces import Generated, Hits, Trace, TraceWriter, generate, import_trace, load_trace, replay

__all__ = [
    "Comparison",
    "Generated",
    "Hits",
    "InputError",
    "Parameter",
    "Policy",
    "Result",
    "Trace",
    "TraceWriter",
    "__version__",
    "advise",
    "calibrate",
    "compare",
    "compiled_eviction",
    "compiled_predictor",
    "eviction",
    "evictions",
    "execute",
    "generate",
    "hosts",
    "import_trace",
    "load_trace",
    "machines",
    "miss_service",
    "miss_services",
    "models",
    "policies",
    "policy",
    "predictor",
    "predictors",
    "prefetcher",
    "prefetchers",
    "record",
    "replay",
    "simulate",
    "software",
    "sweep",
    "validate_device",
    "validate_published",
]
