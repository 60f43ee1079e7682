"""Qualcomm's QNN: the HTP, the NPU of Snapdragon phones; lowered and run here by the vendor's emulated HTP."""
