"""The NumPy front end: shapes, dtypes and layouts; nothing numerical. Its functions are softxent's own names."""
