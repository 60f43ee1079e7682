"""The report's plots: matplotlib figures as inline SVG in the page's own colours."""
