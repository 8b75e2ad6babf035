"""Which part of the face matters: cover one cell after the other and see how far the probability falls.

Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks"; here 8x8 cells in two batches.
"""

import numpy as np

GRID = 8


def occlusion_map(classifier, crop, class_index):
    """Drops in the probability of `class_index` [8, 8], for a grey uint8 `crop` [48, 48]; positive where it matters.

    A cell is covered, with a border of half a cell around it, by the crop's mean grey.
    """
    side = crop.shape[0]
    cell = side / GRID
    grey = np.uint8(round(float(crop.mean())))
    crops = [crop]
    for row in range(GRID):
        for column in range(GRID):
            covered = crop.copy()
            top, left = max(0, round((row - 0.5) * cell)), max(0, round((column - 0.5) * cell))
            covered[top : round((row + 1.5) * cell), left : round((column + 1.5) * cell)] = grey
            crops.append(covered)
    p = classifier.predict(crops).probabilities[:, class_index]
    return (p[0] - p[1:]).reshape(GRID, GRID)
