"""Trains both versions of the tumor classifier and writes what they need.

Development only: needs what requirements.txt names, and nothing of it to build or to serve.

    python train.py

writes, beside this file,

    v1/weights.h          the logistic regression, as C arrays
    resources/trees.json  the gradient boosted trees; README.md has the format
    expected.csv          all 569 rows with what scikit-learn answers for them

Everything is seeded: the same versions of the packages write the same bytes again.
"""

import csv
import json
import math
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).resolve().parent


def c_array(name, numbers):
    """A C array; repr() has as many digits as the same double needs."""
    lines = "".join(f"    {float(number)!r},\n" for number in numbers)
    return f"static const double {name}[FEATURE_COUNT] = {{\n{lines}}};\n"


def write_weights(pipeline):
    scaler, regression = pipeline[0], pipeline[1]
    text = f"""\
// Written by train.py: the logistic regression. The score of a row is
//   intercept + sum of coefficient[i] * (x[i] - feature_mean[i]) / feature_scale[i]
// and the probability of malignancy is 1 / (1 + exp(-score)).
#ifndef TUMOR_CLASSIFIER_WEIGHTS_H
#define TUMOR_CLASSIFIER_WEIGHTS_H

#define FEATURE_COUNT {len(scaler.mean_)}

static const double intercept = {float(regression.intercept_[0])!r};

{c_array("feature_mean", scaler.mean_)}
{c_array("feature_scale", scaler.scale_)}
{c_array("coefficient", regression.coef_[0])}
#endif
"""
    (HERE / "v1" / "weights.h").write_text(text)


def nodes(tree, learning_rate):
    """The nodes of one tree: [value] for a leaf, else [feature, threshold, left, right]."""
    for index in range(tree.node_count):
        left, right = int(tree.children_left[index]), int(tree.children_right[index])
        if left < 0:
            yield [learning_rate * float(tree.value[index][0][0])]
        else:
            yield [int(tree.feature[index]), float(tree.threshold[index]), left, right]


def write_trees(boosting, names):
    # The score that every row begins with: the log odds of malignancy among the training rows.
    prior = float(boosting.init_.class_prior_[1])
    initial = math.log(prior / (1 - prior))
    trees = [
        json.dumps(list(nodes(stage[0].tree_, boosting.learning_rate)))
        for stage in boosting.estimators_
    ]
    separator = ",\n    "
    (HERE / "resources" / "trees.json").write_text(
        "{\n"
        '  "format": "gradient boosted trees 1",\n'
        f'  "features": {json.dumps(names)},\n'
        f'  "initial": {initial!r},\n'
        f'  "trees": [\n    {separator.join(trees)}\n  ]\n'
        "}\n"
    )


def main():
    data = load_breast_cancer()
    names = [name.replace(" ", "_") for name in data.feature_names]
    is_malignant = (data.target == list(data.target_names).index("malignant")).astype(int)

    # 426 rows to train on, 143 held out, malignant and benign in equal parts in both.
    split = train_test_split(
        data.data, is_malignant, test_size=0.25, stratify=is_malignant, random_state=0
    )
    train_rows, held_rows, train_labels, held_labels = split

    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    boosting = GradientBoostingClassifier(random_state=0)
    for title, model in [("v1 logistic regression", regression), ("v2 boosted trees", boosting)]:
        model.fit(train_rows, train_labels)
        accuracy = accuracy_score(held_labels, model.predict(held_rows))
        area = roc_auc_score(held_labels, model.predict_proba(held_rows)[:, 1])
        print(
            f"{title}: {len(train_rows)} rows to train on, {len(held_rows)} held out: "
            f"accuracy {accuracy:.4f}, area under the ROC curve {area:.4f}"
        )

    write_weights(regression)
    write_trees(boosting, names)
    with open(HERE / "expected.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names + ["logistic_regression", "gradient_boosted_trees"])
        answers = [model.predict_proba(data.data)[:, 1] for model in (regression, boosting)]
        for row, *probabilities in zip(data.data, *answers):
            writer.writerow([repr(float(number)) for number in [*row, *probabilities]])


if __name__ == "__main__":
    main()
