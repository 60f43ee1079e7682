"""What a training step reads: which images, decoded, augmented, in batches."""
