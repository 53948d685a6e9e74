"""What one CPU carries. No speed is asserted anywhere: figures are printed beside what they are compared with."""
