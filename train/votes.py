"""FER-2013's label as FER+'s votes foretell it: P(label | votes), the votes in the language of the labels.

FER+'s annotators name other classes than FER-2013's labels do (they say neutral much more often, fear less), so that
the votes by themselves teach another task. What the label would be, given the votes, is FER-2013's own task, with less
noise than one label has: privileged information, as Lopez-Paz et al. (2016) call what is known in training alone.
`python -m train.score_votes` says how well they foretell it.
"""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from train.config import ConfigError

FOLDS = 5


def boosted_trees():
    """Gradient boosting (Friedman 2001) over the ten counts."""
    return HistGradientBoostingClassifier(
        learning_rate=0.05, max_iter=150, max_leaf_nodes=8, l2_regularization=1.0, early_stopping=False, random_state=0
    )


def label_given_votes(labels, votes, num_classes):
    """float32 [n, num_classes] probabilities from labels int64 [n] and votes float32 [n, 10].

    A picture's own label has no part in its row: each is predicted by trees that were fitted on the other folds.
    Rounded to 1e-3, so that a run which is resumed on another machine finds the same targets.
    Raises ConfigError for a class with fewer pictures than folds.
    """
    counts = np.bincount(labels, minlength=num_classes)
    rare = np.flatnonzero((counts > 0) & (counts < FOLDS)).tolist()
    if rare:
        raise ConfigError(f"ferplus_target: labels needs {FOLDS} pictures of a class or none; class {rare} has fewer")
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    with threadpool_limits(1):  # sums over threads depend on their number
        found = cross_val_predict(boosted_trees(), votes, labels, cv=folds, method="predict_proba")
    probabilities = np.zeros((len(labels), num_classes))
    probabilities[:, np.unique(labels)] = np.round(found, 3)
    return (probabilities / probabilities.sum(1, keepdims=True)).astype(np.float32)


def foretold_labels(train, others, num_classes):
    """float64 [n, num_classes] probabilities P(label | votes) of the pictures of `others`, by trees fitted on `train`.

    Both are `Arrays` with votes. The labels of `others` have no part in it; a class that `train` lacks has 0.
    """
    trees = boosted_trees().fit(train.votes, train.labels)
    probabilities = np.zeros((len(others.votes), num_classes))
    probabilities[:, trees.classes_] = trees.predict_proba(others.votes)
    return probabilities
