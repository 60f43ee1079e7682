"""What a training step changes weights with: optimiser, schedule, averages, number formats."""
