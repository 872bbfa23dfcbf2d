"""Arrays of any layout, dtype and class axis, and the kernels for them: what every front end on a CPU calls."""
