"""What is known against GPUs that run Vulkan programs, by the numbers of the reports."""

ADRENO = (
    "GPUs of the Adreno family (Snapdragon) were reported to give wrong or varying results with ExecuTorch's Vulkan "
    "backend, one of EfficientNetV2-S 24 different ones in 25 runs (pytorch/executorch #21938, #21939, #22327); Mali "
    "not. Compare on the phone before you ship: edge-effnet check --device adb."
)
"""Said of every Vulkan program; the reports are open as of executorch 1.4.1."""
