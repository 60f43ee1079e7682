"""XNNPACK (CPU of Android and iOS phones): from a graph to one delegate, and its arithmetic to the bit."""
