"""Grey or white matter? Kernel ridge regression (random Fourier features) on the intensities around each voxel."""

import numpy as np

from hpo_trainer.report import data_dir, parameters, report, seed

p = parameters({"bandwidth": 1.0, "ridge": 0.01, "radius": 1})
brain, rng, radius = np.load(data_dir() / "brain.npz"), np.random.default_rng(seed()), int(p["radius"])
padded = np.pad(brain["images"], ((0, 0), (radius, radius), (radius, radius)))
windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * radius + 1, 2 * radius + 1), axis=(1, 2))
weights, phase = rng.normal(size=((2 * radius + 1) ** 2, 200)) / p["bandwidth"], rng.uniform(0, 2 * np.pi, 200)


def voxels(slabs):
    chosen = (brain["masks"] > 0) & np.isin(brain["groups"], slabs)[:, None, None]
    features = np.cos(windows[chosen].reshape(-1, len(weights)) @ weights + phase)
    return features, np.where(brain["masks"][chosen] == 2, 1.0, -1.0)


(features, tissue), (unseen, truth) = voxels([1, 2, 3, 4]), voxels([0])
solution = np.linalg.solve(features.T @ features + p["ridge"] * len(tissue) * np.eye(200), features.T @ tissue)
report({"accuracy": np.mean(np.sign(unseen @ solution) == truth)})
