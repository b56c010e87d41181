"""scikit-learn's and SciPy's array-API modes take lazyxla's arrays and tensors, and answer as with NumPy's."""

import os
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("array_api_compat")

PROGRAM = """
    import warnings

    warnings.simplefilter("ignore")
    import numpy as np
    import scipy.cluster, scipy.fft, scipy.ndimage, scipy.signal, scipy.special, scipy.stats
    import sklearn
    from sklearn import decomposition, discriminant_analysis, linear_model, metrics, mixture, preprocessing

    import lazyxla as lx
    import lazyxla.array_api as xp

    sklearn.set_config(array_api_dispatch=True)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5)).astype("float32")
    y = (X[:, 0] + 0.3 * rng.normal(size=40) > 0).astype("int64")
    t = (X @ rng.normal(size=5)).astype("float32")
    p = np.abs(X[:, 1].astype("float64")) / 5 + 0.01

    calls = dict(
        scaler=lambda w: preprocessing.StandardScaler().fit_transform(w(X)),
        minmax=lambda w: preprocessing.MinMaxScaler().fit_transform(w(X)),
        maxabs=lambda w: preprocessing.MaxAbsScaler().fit_transform(w(X)),
        normalizer=lambda w: preprocessing.Normalizer().fit_transform(w(X)),
        pca=lambda w: np.abs(np.asarray(decomposition.PCA(2, svd_solver="full").fit_transform(w(X)))),
        lda=lambda w: discriminant_analysis.LinearDiscriminantAnalysis().fit(w(X), w(y)).transform(w(X)),
        ridge=lambda w: linear_model.Ridge(solver="svd").fit(w(X), w(t)).predict(w(X)),
        logistic=lambda w: linear_model.LogisticRegression().fit(w(X), w(y)).predict_proba(w(X)),
        mixture=lambda w: mixture.GaussianMixture(2, init_params="random", random_state=0).fit(w(X)).means_,
        accuracy=lambda w: metrics.accuracy_score(w(y), w(y[::-1].copy())),
        auc=lambda w: metrics.roc_auc_score(w(y), w(t)),
        r2=lambda w: metrics.r2_score(w(t), w(t + 0.1)),
        cosine=lambda w: metrics.pairwise.cosine_similarity(w(X[:6]), w(X[6:12])),
        rbf=lambda w: metrics.pairwise.rbf_kernel(w(X[:6]), w(X[6:12])),
        logsumexp=lambda w: scipy.special.logsumexp(w(X), axis=1),
        expit=lambda w: scipy.special.expit(w(X)),
        skew=lambda w: scipy.stats.skew(w(p)),
        pearson=lambda w: scipy.stats.pearsonr(w(p), w(p**2)).statistic,
        f_oneway=lambda w: scipy.stats.f_oneway(w(p), w(p**2)).statistic,
        variation=lambda w: scipy.stats.variation(w(p)),
        convolve=lambda w: scipy.signal.fftconvolve(w(p), w(p[:5])),
        gaussian=lambda w: scipy.ndimage.gaussian_filter(w(X), 1),
        whiten=lambda w: scipy.cluster.vq.whiten(w(X)),
        rfft=lambda w: scipy.fft.rfft(w(p)),
    )
    for name, call in calls.items():
        expected = np.asarray(call(lambda v: v))
        for wrap in (xp.asarray, lx.tensor):
            found = call(wrap)
            np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-2, atol=2e-3, err_msg=name)
    assert isinstance(calls["scaler"](xp.asarray), xp.Array) and isinstance(calls["rfft"](xp.asarray), xp.Array)
    print("all", len(calls))
"""


def test_scikit_learn_and_scipy():
    env = {**os.environ, "SCIPY_ARRAY_API": "1"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(PROGRAM)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "all 24"
