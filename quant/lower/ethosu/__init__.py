"""Arm's Ethos-U: the NPUs of microcontrollers; compiled by Vela, judged by the TOSA reference model."""
