"""Read, sum and write rows. A row has the same bits on every path. Begin with groups.

The paths of a row:

short_rows    if its classes are contiguous and few (at most 512 bytes): vectors of classes, results folded at once
tile          if they are very few or not contiguous: copied to a tile, one row per lane
running       if it is longer than 1 MiB, its terms are not kept, and SKIP is not LARGEST (a largest class, left out):
              maximum and sum in one reading, block by block
row           otherwise: classes along the lanes

groups         up to LANES rows together: their maxima, sums and results
accumulators   a group's numbers in memory, a line for each quantity, a lane for each row
reductions     a vector's lanes folded to one number            transpose   blocks transposed in registers
"""
