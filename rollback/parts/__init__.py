"""The parts of a release: each can be captured, compared and put back."""
