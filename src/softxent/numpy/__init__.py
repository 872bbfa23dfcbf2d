"""The NumPy front end: signatures and documentation, nothing numerical. `softxent` exports its functions."""
