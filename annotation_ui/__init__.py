"""The face of clothes-toolkit: designers draw sketches, reviewers decide."""
