"""Call the kernels with arrays of any layout, dtype and class axis. Every front end on a CPU uses this folder."""
