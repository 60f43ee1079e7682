"""The report for people: one HTML file of what a run found out, and one that compares artifacts."""
