"""The dialogue: decoded for the networks, encoded for the output, and where somebody speaks."""
