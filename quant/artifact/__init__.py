"""The artifact folder: written, opened, recognised, and what lies in it."""
