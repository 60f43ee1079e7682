"""Every threshold of the project, each with its reason."""

MAX_DROP_POINTS = 1.0
"""Top-1 that the .pte may lose against float, in points, unless `--max-drop` says otherwise: what people call
"no visible loss", and about what the confidence interval of a few hundred photographs can tell."""

SHARE_ROUNDING = 1e-9
"""Shares are exact multiples of 1/N; this only absorbs their rounding in binary."""

COLLAPSE_AGREEMENT = 0.90
"""A program that agrees with float on fewer photographs has collapsed, whatever else was allowed: B0 with a histogram
observer's ranges, which people call broken, agrees on 92 %, with min-max ranges on 77 %
(`benchmarks/results/methods-real-b0.md`)."""

COLLAPSE_SQNR_DB = 8.0
"""Logits with more noise than this belong to a broken program, even if few photographs show it: 8 dB is a
sixth of the signal's power; in the same table histogram ranges have 10 dB, min-max ranges 3."""

COLLAPSE_PHOTOGRAPHS = 20
"""Fewer evaluation photographs cannot tell a collapse from one unlucky photograph."""

MIN_CALIBRATION = 8
"""Fewer photographs leave the ranges to chance."""

DEFAULT_CALIBRATION = 128
"""More photographs move no range that matters; fewer make the outcome swing with the draw."""

SAMPLE_EVALUATION = 320
"""Pictures of the sample set that judge: 20 a class; the interval of top-1 is then some 3 points to either side."""

SELECTION = 256
"""Photographs that the search for float layers is judged on: 99 % agreement is two or three of them."""

TARGET_CHANCE = 0.8
"""A set of float layers is taken where the target holds on the evaluation photographs this likely: one run in five
may miss it; certainty would cost many layers, since one photograph can have a margin of next to nothing."""

OUTLOOK_RUNS = 1000
"""Outcomes drawn for that probability: it is then known to one or two hundredths."""

OUTLOOK_PHOTOGRAPHS = 1024
"""Evaluation photographs whose float logits are looked at for it, at most; more know the margins no better."""

MIN_SELECTION = 32
"""Fewer cannot tell 99 % from 96 %; the evaluation photographs then have to serve, and a note says so."""

SENSITIVITY = 24
"""Calibration photographs that are run backward too, for the loss-aware ranges: all 128 of the default took four
times as long and gave B0 the same accuracy within the spread of the draws (docs/accuracy.md)."""

EQUALIZATION = 32
"""Photographs that show the channels' ranges for equalization: it is exact whatever it is given."""

ANALYSIS = 16
"""Photographs of the layer-by-layer analysis: its figures are sums over millions of values."""

GOLDEN_MIN_SQNR_DB = 60.0
"""A program that is itself must reproduce its golden outputs: int8 bit for bit, float32 up to rounding that
differs between processors (80 dB and more)."""

LATENCY_REPEATS = 40
"""Forward passes timed for each program; the median of 40 settles within 2 % on an idle core."""

LATENCY_BUDGET_S = 20.0
"""Time for these passes: B7 at 600 pixels would take minutes, and its median settles sooner."""

LATENCY_LEAST_REPEATS = 5
"""Forward passes timed at least: a median of fewer follows every hiccup."""

GOLDEN_COUNT = 3
"""Golden inputs kept in an artifact: enough to catch a swapped channel or label order, small enough to ship."""

WEIGHT_SCALE_FLOOR = 2.0**-20
"""Smallest weight scale. Lower than torchao's 2**-12, which costs small filters their bits; not lower still, since
a bias is stored in steps of input scale x weight scale and has to fit 32 bits."""

ACTIVATION_SCALE_FLOOR = 2.0**-12
"""Smallest activation scale: a tensor that is all but constant still gets one that XNNPACK's kernels accept."""

PHONE_GMACS = 4.0
"""More multiply-accumulates take a mid-range phone's CPU over 0.1 s in int8: B4 has 4.4 G, B0 0.4 G."""

PHONE_RAM_MB = 300
"""An app of some 1 GB is killed on phones with 4 GB once it is in the background; a third of it is a lot."""

PHONE_FILE_MB = 100
"""Larger downloads need Wi-Fi or a question in both app stores by default (200 MB), with an app around them."""

BUNDLE_RTOL = 1e-3
"""Of `.bpte` outputs: the same processor repeats itself to the bit, another one rounds floats differently."""

BUNDLE_ATOL = 1e-3
"""Of `.bpte` outputs, absolute: logits near zero."""

DEVICE_MIN_SQNR_DB = 20.0
"""A program with float layers may differ between processors by their rounding: a last bit of a float moves an int8
value by a whole step. B0's stem and first depthwise in float leave some 26 dB (the same as between the simulation and
x86); less than this is no rounding."""

DEVICE_MIN_AGREEMENT = 0.98
"""Photographs whose class a device has to share with this host, where rounding may differ."""
