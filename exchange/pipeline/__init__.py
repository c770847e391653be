"""The order path: stages as tasks on bounded queues. Pipes decide nothing."""
