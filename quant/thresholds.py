"""Every threshold of the project, each with its reason."""

from __future__ import annotations

PLAIN_SHARE = 1e-4
"""Share of the plain squared error in the weights: keeps a range sane where the sampled gradients are zero."""

MAX_DROP_POINTS = 1.0
"""Top-1 that the .pte may lose against float, in points, unless `--max-drop` says otherwise: what people call
"no visible loss", and about what the confidence interval of a few hundred images can tell."""

SHARE_ROUNDING = 1e-9
"""Shares are exact multiples of 1/N; this only absorbs their rounding in binary."""

COLLAPSE_AGREEMENT = 0.90
"""A program that agrees with float on fewer images has collapsed, whatever else was allowed: B0 with a histogram
observer's ranges, which people call broken, agrees on 92 %, with min-max ranges on 77 %
(`benchmarks/results/methods-real-b0.md`)."""

COLLAPSE_SQNR_DB = 8.0
"""Logits with more noise than this belong to a broken program, even if few images show it: 8 dB is a
sixth of the signal's power; in the same table histogram ranges have 10 dB, min-max ranges 3."""

LABELS_COLLAPSE_F1 = 0.80
"""Of a multi-label program's labels against float's: below it one label in five is another's, or missing. Agreement
on whole sets says less: it falls with the number of labels, and a set of none is easily kept."""

NUMBERS_COLLAPSE_CORRELATION = 0.90
"""Of a regression's outputs with float's: a fifth of the variance is then noise, half as much again as 8 dB leave."""

NUMBERS_TOLERANCE = 0.1
"""Standard deviations of float's output that a regression's may move and still agree: noise of that size costs one
point of R2."""

NUMBERS_DROP_POINTS = 2.0
"""R2 that a regression may lose, in points, unless `--max-drop` says otherwise. By arithmetic noise takes its share
of the variance, 10^(-dB / 10): 1 point at 20 dB, 2 at 17 dB. int8 leaves healthy networks 17.4 to 25 dB, at less
than a point of top-1; histogram ranges' 10 dB take 10 points, min-max ranges' 3 dB take 50
(`benchmarks/results/methods-real-b0.md`). `MAX_DROP_POINTS` would refuse the healthy half."""

FEATURES_COLLAPSE_COSINE = 0.90
"""Mean cosine of an embedding with float's: 8 dB of noise leave 0.93 where features are not shared by all images."""

LEAD_SHARE = 0.5
"""Of the lead that an embedding's nearest images lose, what counts as nearest images of the right class lost, where
there are no labels to count them. The real B0's features on 250 images: lead lost 1.1, 11.4 and 43.4 % (`int8`,
`int8-histogram`, `int8-minmax`), nearest images of their class lost 0.0, 4.8 and 33.2 points."""

COLLAPSE_IMAGES = 20
"""Fewer evaluation images cannot tell a collapse from one unlucky image."""

CHANCE_SHUFFLES = 19
"""Times that labels are shuffled to see what a network that sees nothing reaches: one in twenty such networks beats
them all."""

CHANCE_IMAGES = 512
"""Images that this is tried on: enough for a figure that is to be told from nothing."""

SURE_MARGIN = 0.5
"""Float's margin p1 - p2, from where it is sure: a change there is an error, whatever the labels would say. Without
labels no more of these images may change class than top-1 may lose. Lite0 and Lite1 in int8 change 8 to 12 of 336
ImageNet images (1,000 classes), none of them above it, and are expected to lose 0.1 to 0.2 points."""

SURE_SHARE = 0.10
"""Where float is sure of fewer images, its probabilities carry no verdict: every change then counts as a loss."""

CAUTION_CONFIDENCE = 0.60
"""A pass is given with caution where a limit lies inside this interval of the figure: of images like these, one
set in five would miss it, the same risk that `TARGET_CHANCE` takes. A 95 % interval would leave no pass without
caution: on a few hundred images it is wider than the points that may be lost."""

FEW_CALIBRATION = 32
"""Fewer images are a reason for caution: 8 of them cost B0 1.3 dB of SQNR beside 32 and 2.6 dB beside 128, and
the draw begins to matter (`benchmarks/results/calibration-real-b0.md`)."""

MIN_CALIBRATION = 8
"""Fewer images leave the ranges to chance."""

NEARLY_ONE_CLASS = 0.75
"""Share of the images that float takes for one class, from where a pass is given with caution."""

COPIES_SHARE = 0.01
"""Share of the evaluation images that may look like calibration images: a burst or two over both halves of
a large set is common and moves no figure; more flatter the verdict."""

UNUSABLE_SHARE = 0.01
"""Share of the images that may be empty or unreadable and are left out, unless `--max-unusable` says otherwise: a few
broken downloads move no figure; more mean that a copy or an archive is damaged, and what is left may be no fair
sample."""

DUPLICATE_SHARE = 0.2
"""Share of the evaluation images that may lie in the training half too, or in two classes, and are left out: the
published sets have up to a tenth (CIFAR-100: 10 %, CIFAR-10: 3 %; Barz and Denzler, "Do we train on test data?",
2020). With twice that it is no split, and float's own figures mean nothing."""

DEFAULT_CALIBRATION = 256
"""Twice 128 gave B0 0.6 dB more on both of two draws, for 15 seconds; fewer make the outcome swing with the draw."""

SAMPLE_CALIBRATION = 128
"""Pictures of the sample set to calibrate on unless others are asked for: a first look, where each costs 0.1 s."""

SAMPLE_EVALUATION = 160
"""Pictures of the sample set that judge: 10 a class; the interval of top-1 is then some 4 points to either side."""

SELECTION = 256
"""Images that the search for float layers is judged on: 99 % agreement is two or three of them."""

TARGET_CHANCE = 0.8
"""A set of float layers is taken where the target holds on the evaluation images this likely: one run in five
may miss it; certainty would cost many layers, since one image can have a margin of next to nothing."""

OUTLOOK_RUNS = 1000
"""Outcomes drawn for that probability: it is then known to one or two hundredths."""

OUTLOOK_IMAGES = 1024
"""Evaluation images whose float logits are looked at for it, at most; more know the margins no better."""

MIXED_AGREEMENT = 0.995
"""Images that have to keep their class with 16 bits in some activations, unless a target is given: what 16 bits in
all of them keep (B0: 99.6 %), so that nothing is to be seen."""

MIN_SELECTION = 32
"""Fewer cannot tell 99 % from 96 %; the evaluation images then have to serve, and a note says so."""

SENSITIVITY = 80
"""Calibration images that are run backward too, for the loss-aware ranges; more gave B0 no better ones."""

RECONSTRUCTION = 64
"""Calibration images of the layer-wise reconstruction: with weights kept near float's, 128 and 256 gave B0 and Lite0
no better ones, and 32 little worse (docs/lab/accuracy.md)."""

EQUALIZATION = 32
"""Images that show the channels' ranges for groups and equalization: both are exact whatever they are given."""

SIMULATED = 64
"""Evaluation images on which the quantized network is simulated beside a program that runs here on all of them: the
two differ by lowering alone, tens of dB below what quantizing does, and simulating takes longer than the rest."""

ANALYSIS = 16
"""Images of the layer-by-layer analysis: its figures are sums over millions of values."""

ANALYSIS_LEAST = 4
"""Images of that analysis where they are large: at 600 pixels each has seven times the values of one at 224."""

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

REPORT_FLIPS = 60
"""Images that changed class and are shown in a report, those that float was right and sure about first: more
than anybody looks through; manifest.json lists all."""

REPORT_THUMBNAIL_BYTES = 1_000_000
"""All thumbnails of a report together: as text in the page they are a third larger, and a page below 2 MB can be
mailed and opens at once on a phone."""

REPORT_THUMBNAIL_SIDE = 144
"""Pixels: sharp at the 144 device pixels that a card has on most screens, 3 to 6 KB as JPEG."""

BUNDLE_RTOL = 1e-3
"""Of `.bpte` outputs: the same processor repeats itself to the bit, another one rounds floats differently."""

BUNDLE_ATOL = 1e-3
"""Of `.bpte` outputs, absolute: logits near zero."""

DEVICE_MIN_SQNR_DB = 20.0
"""A program with float layers may differ between processors by their rounding: a last bit of a float moves an int8
value by a whole step. B0's stem and first depthwise in float leave some 26 dB (the same as between the simulation and
x86); less than this is no rounding."""

DEVICE_MIN_AGREEMENT = 0.98
"""Images whose class a device has to share with this host, where rounding may differ."""

PLAUSIBLE_TOP1 = 0.9
"""Below it float is asked whether it reads the images as it was trained to, in all the ways that go wrong."""

KNOWN_MISFIT = 0.6
"""Of BatchNorm's statistics (`norm_misfit`): above it a network does not know such images, whoever trained it, and
nothing is concluded from how it knows them better. Real networks have 0.1 to 0.3 on photographs."""

ORIGIN_IMAGES = 64
"""Calibration images on which BatchNorm's statistics tell two origins of weights apart."""

ORIGIN_CERTAINTY = 2.5
"""Standard errors over the norms by which the better origin has to be: B0 of torchvision on 64 images is 3.5 from its
TensorFlow reading, Lite0 and Lite1 are 6 to 10 from timm's."""

ORIGIN_RATIO = 1.05
"""Of their misfits: 1.10 for B0 of torchvision (1.06 to 1.15 over draws of 32 images), 1.27 to 1.47 for Lite0 and
Lite1."""

ACTIVATION_MISFIT = 0.3
"""Of BatchNorm's statistics on 32 images, below which the activation is not doubted: B0 and Lite0 to Lite2 have 0.19
to 0.28 on ImageNet's photographs, B0 trained with hardswish has 0.40 as SiLU."""

ACTIVATION_RATIO = 1.2
"""By which another activation has to fit better; the right one fits 3.3 times better than SiLU there, hardswish on
B0's own weights 1.5 times worse."""

ACTIVATION_CERTAINTY = 5.0
"""Standard errors over the norms: 20 there, -10 on B0's own weights."""

PROBE_IMAGES = 128
"""Images that another reading is tried on: B0 with exchanged channels still classes 59 of 64 rightly instead of
61, but finds the right class less likely on 44 of them."""

PROBE_CERTAINTY = 1e-4
"""Chance (one-sided sign test) that a reading which is no better looks as good; seven are tried at most."""

PROBE_RANK_CERTAINTY = 1e-3
"""The same of the signed-rank test, which weighs by how much likelier: B0 gives images in BGR away with ten of
each class. A network that does not care about the reading would be doubted once in a thousand checks; one that does
is as far from it on the other side."""

PROBE_RIGHT = 1 / 3
"""Share of the images that another reading has to class rightly: a little better than nothing is no reading."""

PROBE_GLANCE = 32
"""Of these images, that every reading and every usual geometry is tried on; only a promising one is tried on all."""

GEOMETRY_GAIN = 0.05
"""In the likelihood of the right class, nats: a little larger or smaller crop changes less, which nobody
would notice."""

GEOMETRY_LEAST = 0.3
"""Float's top-1, share of 1, below which a geometry is not looked for: it is not what is wrong."""

PERMUTED_IMAGES = 3
"""Of a class, before what most of them are taken for means anything."""

REPEAT_IMAGES = 1
"""Images, or one in a hundred of them, that float may class otherwise on another processor: rounding decides
near-ties."""

REPEAT_SQNR_DB = 1.0
"""That the SQNR of the same program on the same images may differ between processors: int8 arithmetic repeats
itself to the bit, and float's own rounding is far below the noise."""

ROUNDING_SQNR_DB = 60.0
"""Above it a program differs from float by rounding alone, which is the processor's."""

GOLDEN_INPUT_STEPS = 2.0
"""Steps of 1/255 that a golden image's pixels may be off on average: JPEG decoders differ by less than one."""

FLOAT_FALL_POINTS = 20.0
"""Top-1 that float may lose on other images than `quantize` had, beyond both intervals, points: harder
ones cost that much, more is another network, preprocessing or order of classes."""

CLIPPED_SHARE = 0.05
"""Of an activation's values beyond the int8 grid, from where a failing verdict may name it; loss-aware ranges clip up
to 9 % where SiLU makes zero of it."""

CLIPPED_NOISE_SHARE = 0.15
"""Of the noise in the logits that such an activation has to make, to be called a cause: none of a good B0's makes
more than 0.09."""

ANALYSIS_FALL_DB = 10.0
"""Of the logits' SQNR, from the analysis (16 of the images) to the verdict: draws of images differ by some
3 dB; ten times the noise is another program."""

PHONE_MIN_BATTERY_PERCENT = 20
"""Percent; a phone with less is measured with a note: its low-battery warning and power saving, which lowers clocks,
begin between 15 and 20."""
