"""How rows are read, summed and written; a row has the same bits whichever way it takes. Begin with groups.

A row takes the way of

short_rows    if its classes are contiguous and few (at most 512 bytes): vectors of classes, results folded at once
tile          if they are very few or not contiguous: copied to a tile, one row to a lane
running       if its terms are too many to be kept: maximum and sum in one reading, block by block
row           else: classes along the lanes

groups         up to LANES rows together: their maxima, sums and results
accumulators   a group's numbers in memory, a line for each quantity, a lane for each row
reductions     a vector's lanes folded to one number            transpose   blocks turned in registers
"""
