"""Who computes. Begin with scheduler.

scheduler   how many threads there are, and blocks of rows handed to them from Python
team        a kernel's visit in every thread of a team, without a step in Python
openmp      PyTorch's team, where PyTorch is loaded           pool   threads of ours that wait in compiled code
"""
