"""What-if questions with pictures that follow a slider: the state, the pictures and, for Jupyter, the sliders."""
