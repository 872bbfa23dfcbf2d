"""The threads that compute. Begin with scheduler.

scheduler   the number of threads, and blocks of rows distributed to them from Python
team        a kernel's visit in every thread of a team, without a step in Python
openmp      PyTorch's team, if PyTorch is loaded              pool   softxent's threads, which wait in compiled code
"""
