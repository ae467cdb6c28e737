"""The control plane: what management does, by whichever door it comes in."""
