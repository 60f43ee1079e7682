"""Every threshold of the project, each with its reason."""

MAX_DROP_POINTS = 1.0
"""Top-1 that the .pte may lose against float, in points, unless `--max-drop` says otherwise: what people call
"no visible loss", and about what the confidence interval of a few hundred photographs can tell."""

MIN_CALIBRATION = 8
"""Fewer photographs leave the ranges to chance."""

DEFAULT_CALIBRATION = 128
"""More photographs move no range that matters; fewer make the outcome swing with the draw."""

GOLDEN_MIN_SQNR_DB = 60.0
"""A program that is itself must reproduce its golden outputs: int8 bit for bit, float32 up to rounding that
differs between processors (80 dB and more)."""

LATENCY_REPEATS = 40
"""Forward passes timed for each program; the median of 40 settles within 2 % on an idle core."""

GOLDEN_COUNT = 3
"""Golden inputs kept in an artifact: enough to catch a swapped channel or label order, small enough to ship."""

WEIGHT_SCALE_FLOOR = 2.0**-20
"""Smallest weight scale. Lower than torchao's 2**-12, which costs small filters their bits; not lower still, since
a bias is stored in steps of input scale x weight scale and has to fit 32 bits."""

ACTIVATION_SCALE_FLOOR = 2.0**-12
"""Smallest activation scale: a tensor that is all but constant still gets one that XNNPACK's kernels accept."""
