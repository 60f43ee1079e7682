"""What networks are for: one file a task, with its figures and what they may lose."""
