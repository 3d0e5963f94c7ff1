"""Many designs at once: which, their figures as a labelled dataset, files that survive interruption, clusters."""
