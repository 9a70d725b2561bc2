"""Where the operator looks for an API server, and what it says where there is none."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from kubernetes.aio import config

from hpo_operator.kube.client import ConfigurationError, load_configuration

BROKEN = "current-context: nowhere\ncontexts: []\nclusters: []\nusers: []\n"


@pytest.fixture
def broken(usual: Path) -> Path:
    usual.write_text(BROKEN)
    return usual


@pytest.fixture
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The usual place of a kubeconfig; nothing is there."""
    place = tmp_path / "config"
    monkeypatch.setattr(config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", f"{tmp_path / 'other'}:{place}")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return place


async def test_a_missing_kubeconfig_is_no_warning_in_a_pod(usual: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(ConfigurationError, match="or a Pod's service account"):
        await load_configuration()
    assert caplog.records == []


async def test_a_broken_kubeconfig_is_told_with_its_place(broken: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"{broken}: .*nowhere"):
        await load_configuration()


async def test_a_named_kubeconfig_must_be_there(usual: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"{usual}: no such kubeconfig"):
        await load_configuration(str(usual))
