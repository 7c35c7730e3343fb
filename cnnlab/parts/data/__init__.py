"""Datasets: one a file, each a function that gives `Data`: uint8 arrays, labels, a fingerprint.

    def dataset(*, validation, split_seed, ...) -> Data

The keyword-only arguments are the keys of the option's yaml below conf/data/. A dataset reads its
images and hands them to `cnnlab.data.dataset.finish`, which checks them and cuts the validation
split where there is none. Arguments named `path` and `root` say where the images lie; they are
no part of a run's identity, the fingerprint is.
"""
